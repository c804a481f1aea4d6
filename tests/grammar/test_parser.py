"""Every construct, every span, and the soft keywords."""

import logging
import subprocess
import sys
from pathlib import Path

import lark
import pytest
from hypothesis import HealthCheck, given, settings

from attnc.diagnostics import AttnError
from attnc.grammar import parser
from attnc.grammar.builder import Builder
from attnc.grammar.formatter import format_file
from attnc.grammar.parser import parse, parse_expression
from attnc.grammar.tree import (
    Argument,
    Axis,
    AxisItem,
    Binary,
    Boolean,
    Bracket,
    Call,
    Comment,
    Compare,
    Component,
    Conditional,
    Define,
    Expr,
    Formal,
    Input,
    InputItem,
    JoinedSize,
    Let,
    Logic,
    Mask,
    Name,
    Number,
    Output,
    OutputItem,
    Parameter,
    ProductSize,
    Require,
    Slice,
    Subscript,
    Text,
    Tuple,
    Unary,
    Use,
)
from attnc.grammar.walk import walk
from attnc.grammar.words import CLAUSES, ITEMS, SOFT

from .strategies import files

LANGUAGE = sorted((Path(__file__).parent / "language").glob("*.attn"))
a, b, c, i, j, N = map(Name, ["a", "b", "c", "i", "j", "N"])


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("2", Number(2)),
        ("0x1F", Number(31)),
        ("1_000", Number(1000)),
        ("0.5", Number(0.5)),
        ("1e-3", Number(0.001)),
        ("5.", Number(5.0)),
        (".5", Number(0.5)),
        ("9223372036854775807", Number(2**63 - 1)),
        ("True", Boolean(True)),
        ("false", Boolean(False)),
        ("'a'", Text("a")),
        ("a", a),
        ("inf", Name("inf")),
        ("i.y", Component(i, "y")),
        ("a[i]", Subscript(a, (i,))),
        ("a[i, :b]", Subscript(a, (i, Slice(None, b)))),
        ("a[b:, :, b:c]", Subscript(a, (Slice(b, None), Slice(None, None), Slice(b, c)))),
        ("a[i,]", Subscript(a, (i,))),
        ("a(b)", Call(a, None, (Argument(b),))),
        ("a()", Call(a, None, ())),
        ("a[j](b)", Call(a, Bracket((j,), None), (Argument(b),))),
        ("a[i, j](b)", Call(a, Bracket((i, j), None), (Argument(b),))),
        ("a[j: b](c)", Call(a, Bracket((j,), b), (Argument(c),))),
        ("a[i, j: b](c)", Call(a, Bracket((i, j), b), (Argument(c),))),
        ("a[j, reverse](b)", Call(a, Bracket((j, Name("reverse")), None), (Argument(b),))),
        ("a[j](b, c, by=i,)", Call(a, Bracket((j,), None), (Argument(b), Argument(c), Argument(i, "by")))),
        ("j(i.y, a)", Call(j, None, (Argument(Component(i, "y")), Argument(a)))),
        ("-a", Unary("-", a)),
        ("not a", Unary("not", a)),
        ("a @ b", Binary("@", a, b)),
        ("a | b", Binary("|", a, b)),
        ("a and b and c", Logic("and", (a, b, c))),
        ("a < b <= c", Compare(a, (("<", b), ("<=", c)))),
        ("a not in (0, 1)", Compare(a, (("not in", Tuple((Number(0), Number(1)))),))),
        ("a in (0,)", Compare(a, (("in", Tuple((Number(0),))),))),
        ("a if b else c", Conditional(b, a, c)),
        ("((a))", a),
    ],
)
def test_expression(text, tree):
    assert repr(parse_expression(text)) == repr(tree)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("input a[N]", Input((InputItem("a", (N,)),))),
        ("input a[N, -N]: int, b: float", Input((InputItem("a", (N, Unary("-", N)), "int"), InputItem("b", ())))),
        ("axis i, j: N", Axis((AxisItem((i, j), N),))),
        ("axis i: N, j, a: b", Axis((AxisItem((i,), N), AxisItem((j, a), b)))),
        ("axis i: {y: a, x: b}", Axis((AxisItem((i,), ProductSize((("y", a), ("x", b)))),))),
        ("axis i: j | c", Axis((AxisItem((i,), JoinedSize((j, c))),))),
        ("axis i: a | b | c", Axis((AxisItem((i,), JoinedSize((a, b, c))),))),
        ("require a, b", Require((a, b))),
        ("mask a", Mask(a)),
        ("let a = b", Let("let", "a", None, b)),
        ("score a[i, j] = b", Let("score", "a", (i, j), b)),
        ("normalize a = b", Let("normalize", "a", None, b)),
        ("aggregate a[i,] = b", Let("aggregate", "a", (i,), b)),
        ("output a", Output((OutputItem("a", None, None),))),
        ("output b[i] = c, c[j]", Output((OutputItem("b", (i,), c), OutputItem("c", (j,), None)))),
    ],
)
def test_clause(text, clause):
    (attention,) = parse(f"attention x {text}").items
    assert repr(attention.clauses) == repr((clause,))
    assert attention.clauses[0].span.text == text


def test_items():
    file = parse('"""F."""\nuse "b.attn"\n"""D."""\ndefine f[j](s[j], t, u = 2) = s with m = t, n = u\nattention g')
    assert file.doc == "F."
    use, define, attention = file.items
    assert use == Use("b.attn")
    formals = (Formal("s", (j,)), Formal("t"), Formal("u", (), Number(2)))
    bindings = ((Name("m"), Name("t")), (Name("n"), Name("u")))
    assert define == Define("f", (j,), formals, Name("s"), bindings, "D.")
    assert define.doc_span.text == '"""D."""' and define.name_span.text == "f"
    assert define.span.text == "define f[j](s[j], t, u = 2) = s with m = t, n = u"
    assert (attention.name, attention.clauses, attention.doc) == ("g", (), None)


def test_parameters():
    types = "a: int, b: float = 2, c: bool = true, d: 'p' | \"q\" = 'q', e: float = -inf"
    (attention,) = parse(f"attention x({types},)").items
    assert repr(attention.parameters) == repr(
        (
            Parameter("a", "int"),
            Parameter("b", "float", (), 2.0),
            Parameter("c", "bool", (), True),
            Parameter("d", "mode", ("p", "q"), "q"),
            Parameter("e", "float", (), -float("inf")),
        )
    )
    assert attention.parameters[1].span.text == "b: float = 2"


@pytest.mark.parametrize(
    ("text", "file_doc", "docs"),
    [
        ('"""a""" attention x', None, ["a"]),
        ('"""a""" """b""" attention x', "a", ["b"]),
        ('attention x """b""" attention y', None, [None, "b"]),
        ('"""a""" use "u" attention x', "a", [None]),
        ("'''it's \"a\"''' attention x", None, ['it\'s "a"']),
        ('"""a \\""" b""" attention x', None, ['a \\""" b']),
        ('"""\n  two\n  lines\n""" attention x', None, ["\n  two\n  lines\n"]),
    ],
)
def test_docstrings(text, file_doc, docs):
    file = parse(text)
    assert file.doc == file_doc
    assert [item.doc for item in file.items if not isinstance(item, Use)] == docs


def test_comments():
    file = parse('# one\nattention x # two\n  # three "\nmask j <= i #four\n"""# not one""" attention y\n#')
    assert [(one.text, one.own_line, one.span.text) for one in file.comments] == [
        ("# one", True, "# one"),
        ("# two", False, "# two"),
        ('# three "', True, '# three "'),
        ("#four", False, "#four"),
        ("#", True, "#"),
    ]
    assert all(isinstance(one, Comment) for one in file.comments)


@pytest.mark.parametrize("word", [*CLAUSES, *ITEMS])
def test_clause_words_are_names_where_a_name_is_expected(word):
    call = "" if word in ("mask", "require") else f" + {word}[{word}]({word})"
    text = f"""
    define {word}[{word}]({word}, {word}s = {word}) = {word} with {word} = {word}
    attention {word}({word}: int = 3)
    input {word}[{word}], {word}: float
    axis {word}, {word}: {word}, {word}: {{{word}: {word}}}
    let {word}[{word}] = {word}.{word} + {word}[{word}]{call}
    mask {word} and not {word}
    require {word}, {word}
    output {word}, {word}[{word}] = {word}
    mask {word}
    """
    assert len(parse(text).attentions[0].clauses) == 7


def test_space_and_line_ends_do_not_matter():
    text = LANGUAGE[0].read_text().split("\n", 1)[1]
    text = "attention x\n" + text
    assert parse(text) == parse(" ".join(text.split())) == parse(text.replace(" ", "\n  \t")) == parse(text.encode())
    assert parse(text) == parse("\ufeff" + text.replace("\n", "\r\n")) == parse(text.replace("\n", "\r"))
    assert parse("attention a mask (b\\\n)") == parse("attention a mask b")


def expressions_in(value):
    """Every expression in a tree, through all its fields."""
    if isinstance(value, tuple):
        for one in value:
            yield from expressions_in(one)
    elif hasattr(value, "__dataclass_fields__"):
        if isinstance(value, Expr) and not isinstance(value, Tuple):
            yield value
        for field in value.__dataclass_fields__:
            if field not in ("span", "name_span", "doc_span"):
                yield from expressions_in(getattr(value, field))


@pytest.mark.parametrize("path", LANGUAGE, ids=lambda path: path.stem)
def test_spans_of_examples(path):
    check_spans(parse(path.read_text()))


@given(files())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_spans_of_random_files(file):
    check_spans(parse(format_file(file)))


def check_spans(file):
    for expr in expressions_in(file.items):
        assert repr(parse_expression(expr.span.text)) == repr(expr)
    for attention in file.attentions:
        assert attention.span.text.startswith("attention") and attention.name_span.text == attention.name
        for clause in attention.clauses:
            word = clause.role if isinstance(clause, Let) else type(clause).__name__.lower()
            assert clause.span.text.startswith(word)
            for item in getattr(clause, "items", ()):
                assert item.span.text.startswith(item.names[0].id if isinstance(item, AxisItem) else item.name)


def test_a_slice_and_a_bracket_have_spans():
    expr = parse_expression("f[j: a](q[ b : c , :])")
    assert expr.bracket.span.text == "[j: a]"
    assert [entry.span.text for entry in expr.arguments[0].value.entries] == ["b : c", ":"]
    assert parse_expression("(a + b) * c").span.text == "(a + b) * c"
    assert parse_expression("(a + b) * c").left.span.text == "a + b"


def test_walk_goes_everywhere():
    expr = parse_expression("f[j: a](b, c=d[e:g, h]) if not i < k else (l and m) in (n,)")
    assert {node.id for node, _ in walk(expr) if isinstance(node, Name)} == set("abeghiklmn")


# --- the grammar itself ---


def test_grammar_has_no_conflict(caplog):
    text = (Path(parser.__file__).with_name("attn.lark")).read_text()
    with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
        lark.Lark(text, parser="lalr", start=["file", "expression", "annotation"], debug=True, lexer=_no_lexer())
    assert "onflict" not in caplog.text


def test_grammar_is_strict():
    pytest.importorskip("interegular")
    text = (Path(parser.__file__).with_name("attn.lark")).read_text()
    lark.Lark(text, parser="lalr", start=["file", "expression", "annotation"], strict=True, lexer=_no_lexer())


def _no_lexer():
    class NoLexer(lark.lexer.Lexer):
        def __init__(self, conf):
            pass

        def lex(self, state):
            raise AssertionError

    return NoLexer


def test_a_word_is_never_both_a_name_and_a_keyword():
    states = parser._lark().parser.parser._parse_table.states
    for choices in states.values():
        assert not ("NAME" in choices and set(choices) & set(SOFT.values()))


def test_every_rule_is_built():
    for rule in parser._lark().rules:
        name = rule.alias or rule.origin.name
        if not name.startswith("_"):
            assert hasattr(Builder, name) or rule.options.expand1, name


def test_lark_is_imported_only_to_parse():
    code = """if True:
        import sys
        from attnc.grammar import formatter, parser, python_front_end
        import attnc.names
        print("lark" in sys.modules, "torch" in sys.modules)
        parser.parse("attention a")
        print("lark" in sys.modules)
    """
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False", "True"]


def test_errors_name_the_text():
    with pytest.raises(AttnError, match=r"--> spec\.attn:1:13"):
        parse("attention a maks j", "spec.attn")
