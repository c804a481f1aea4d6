"""Decorated functions give the trees of their texts, at the places of the user's own file, and never run."""

import importlib.util
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnc.diagnostics import AttnError
from attnc.grammar.formatter import format_expression
from attnc.grammar.parser import parse
from attnc.grammar.python_front_end import parse_define, parse_function
from attnc.grammar.tree import Let

from . import python_examples
from .strategies import expressions

LANGUAGE = Path(__file__).parent / "language"
ATTENTIONS = [
    "agent", "causal", "defaults", "delta_rule", "differential", "everything", "moba", "optimal_transport", "retention",
    "sliding", "talking_heads",
]  # fmt: skip


def without_indices_of_aggregate(attention):
    clauses = tuple(
        replace(one, indices=None) if isinstance(one, Let) and one.role == "aggregate" else one
        for one in attention.clauses
    )
    return replace(attention, clauses=clauses)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_function_gives_the_tree_of_its_text(name):
    (from_text,) = parse((LANGUAGE / f"{name}.attn").read_text()).items
    (from_python,) = parse_function(getattr(python_examples, name)).items
    assert repr(from_python) == repr(without_indices_of_aggregate(from_text))


@pytest.mark.parametrize("define", parse((LANGUAGE / "definitions.attn").read_text()).items, ids=lambda one: one.name)
def test_define_gives_the_tree_of_its_text(define):
    function = getattr(python_examples, define.name)
    assert repr(parse_define(function, function.axes).items[0]) == repr(define)


@given(st.lists(st.tuples(st.sampled_from(["x", "s", "mask", "require"]), expressions), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_bodies_give_the_trees_of_their_texts(tmp_path_factory, statements):
    body, clauses = [], []
    for word, expr in statements:
        text = format_expression(expr)
        body.append(f"    {word}({text})" if word in ("mask", "require") else f"    {word} = ({text})")
        clauses.append({"x": "let x = ", "s": "score s = "}.get(word, f"{word} ") + text)
    function = written(tmp_path_factory.mktemp("functions"), "\n".join(["def spec():", *body, ""]))
    from_text = parse("\n".join(["attention spec", *clauses]))
    assert repr(parse_function(function).items) == repr(from_text.items)


def written(folder, text, name="spec"):
    """The function called `name` of a module with this text."""
    path = folder / "module.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("module", path)
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        spec.loader.exec_module(module)
    return getattr(module, name)


def clauses_of(folder, body, parameters=""):
    function = written(folder, f"def spec({parameters}):\n" + "".join(f"    {line}\n" for line in body))
    return parse_function(function).items[0].clauses


def text_clauses(text):
    return parse("attention spec\n" + text).items[0].clauses


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (["i: N; j: N"], "axis i, j: N"),
        (["i: N", "j: N"], "axis i, j: N"),
        (["i: N; c: C"], "axis i: N, c: C"),
        (["i: N", "c: C"], "axis i: N axis c: C"),
        (["i: N; j: N; c: C", "g: H"], "axis i, j: N, c: C axis g: H"),
        (["i: N", "x = 1", "j: N"], "axis i: N let x = 1 axis j: N"),
        (["u: j | c"], "axis u: j | c"),
        (["u: 'j | c'"], "axis u: j | c"),
        (["i: 'ceildiv(N, 2)'"], "axis i: ceildiv(N, 2)"),
        (["i: {'y': rows, 'x': cols}"], "axis i: {y: rows, x: cols}"),
        (["s = 1"], "score s = 1"),
        (["s[i, j] = 1"], "score s[i, j] = 1"),
        (["s[g, i, j] = 1"], "let s[g, i, j] = 1"),
        (["p = 1", "out[i] = p"], "normalize p = 1 aggregate out[i] = p"),
        (["t = 1", "return t"], "let t = 1 output t"),
        (["return out"], ""),
        (["return"], ""),
        (["return p, out"], "output p, out"),
        (["return x + 1"], "aggregate out = x + 1"),
        (["return (x + 1)"], "aggregate out = x + 1"),
        (["return x + 1, lse"], "aggregate out = x + 1 output out, lse"),
        (["return (x, lse)"], "output x, lse"),
        (["mask(", "    j <= i  # why", "    and x", ")"], "mask j <= i and x"),
        (["x = a + \\", "    b"], "let x = a + b"),
        (["require(a, b)", "mask(c)"], "require a, b mask c"),
        (["x = 'é' == y; z = 2"], "let x = 'é' == y let z = 2"),
    ],
)
def test_body(tmp_path, body, text):
    assert repr(clauses_of(tmp_path, body)) == repr(text_clauses(text))


def test_docstring_loses_the_indentation_of_the_body(tmp_path):
    doc = '        """One.\n\n          Two \\n.\n        """\n'
    text = f"class Holder:\n    def spec():\n{doc}        mask(a)\n\n\nspec = Holder.spec\n"
    (attention,) = parse_function(written(tmp_path, text)).items
    assert attention.doc == "One.\n\n  Two \\n.\n"
    assert attention.doc_span.text.startswith('"""One.')


def test_nothing_of_the_function_runs(tmp_path):
    text = "def spec(x: '[explode()]', n: int = 3):\n    i: explode()\n    mask(explode())\n    return explode(1 / 0)\n"
    file = parse_function(written(tmp_path, text))
    assert [type(clause).__name__ for clause in file.items[0].clauses] == ["Input", "Axis", "Mask", "Let"]


def test_spans_are_those_of_the_file(monkeypatch):
    path = Path(python_examples.__file__)
    monkeypatch.chdir(path.parent)
    lines = path.read_text().split("\n")
    (attention,) = parse_function(python_examples.sliding).items
    source = attention.span.source
    assert source.name == path.name
    assert attention.name_span.text == "sliding"
    for clause in attention.clauses:
        line, column = source.position(clause.span.start)
        shown = lines[source.first_line + line - 1][column + source.indent :]
        assert shown.startswith(clause.span.text.split("\n")[0])
    assert [item.span.text for item in attention.clauses[0].items] == ['slope: "[H]"']
    assert attention.clauses[0].items[0].sizes[0].span.text == "H"
    assert attention.parameters[1].span.text == "cap: float = 50.0"


def test_path_is_relative_only_below_the_current_folder(tmp_path, monkeypatch):
    function = written(tmp_path, "def spec():\n    mask(j <= i)\n")
    monkeypatch.chdir(tmp_path)
    assert parse_function(function).span.source.name == "module.py"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert parse_function(function).span.source.name == str(tmp_path / "module.py")


def made_by_exec():
    names = {}
    exec("def spec():\n    mask(j <= i)\n", names)
    return names["spec"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (made_by_exec(), "its source is not in a file"),
        (lambda: 1, "write a function with 'def'"),
        (len, "it is not a function"),
        (3, "it is not a function"),
        (int, "it is not a function"),
    ],
)
def test_what_has_no_source(function, message):
    with pytest.raises(AttnError, match=message) as caught:
        parse_function(function)
    assert caught.value.code == "no-source"


def test_a_file_that_changed_is_noticed(tmp_path):
    function = written(tmp_path, "def spec(n: int):\n    mask(j <= i)\n")
    (tmp_path / "module.py").write_text("x = 1\n\n\ndef other(m: int):\n    mask(j <= i)\n")
    with pytest.raises(AttnError, match="no-source"):
        parse_function(function)


@pytest.mark.parametrize(
    ("text", "axes", "message"),
    [
        ("def spec(s):\n    m = s\n", ("j",), "missing-return"),
        ("def spec(s):\n    m[j] = s\n    return m\n", ("j",), "odd-target"),
        ("def spec(s):\n    mask(s)\n    return s\n", ("j",), "python-construct"),
        ("def spec(s: int):\n    return s\n", ("j",), "is a formal, which has no type"),
        ("def spec(s: '[j + 1]'):\n    return s\n", ("j",), "is a formal, which has no type"),
        ("def spec(*s):\n    return s\n", ("j",), "python-construct"),
        ("def spec(s):\n    return s\n", ("j", "j"), "repeated-name"),
        ("def spec(s):\n    return s\n", (3,), "an axis is a name"),
        ("def spec(s):\n    return s\n", ("a b",), "an axis is a name"),
    ],
)
def test_mistakes_in_definitions(tmp_path, text, axes, message):
    with pytest.raises(AttnError, match=message):
        parse_define(written(tmp_path, text), axes)


def test_one_axis_may_be_given_alone():
    assert parse_define(python_examples.l1, "j").items == parse_define(python_examples.l1, ("j",)).items
