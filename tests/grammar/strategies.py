"""Random trees of the whole grammar, as the parser itself would make them (no spans)."""

from hypothesis import strategies as st

from attnc.grammar.scanner import is_docstring
from attnc.grammar.tree import (
    Argument,
    Attention,
    Axis,
    AxisItem,
    Binary,
    Boolean,
    Bracket,
    Call,
    Compare,
    Component,
    Conditional,
    Define,
    File,
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
from attnc.grammar.words import BINARY, CLAUSES, COMPARISONS, ITEMS, ROLES

words = st.sampled_from(["i", "j", "q", "N", "x1", "lambda_", "inf", "where", "a_long_name", *CLAUSES, *ITEMS])
names = st.builds(Name, words)
modes = st.text(alphabet="ab é#'[", max_size=4) | st.text(alphabet='ab "(', max_size=4)
finite = st.floats(min_value=0, allow_infinity=False, allow_nan=False)
ints = st.integers(min_value=0, max_value=2**63 - 1)


def tuples(strategy, least=0, most=3):
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


def some(strategy):
    return st.none() | strategy


def logic(expressions):
    def build(operator, operands):
        first = operands[0]
        if isinstance(first, Logic) and first.operator == operator:  # the parser would have flattened it
            operands = (*first.operands, *operands[1:])
        return Logic(operator, operands)

    return st.builds(build, st.sampled_from(["and", "or"]), tuples(expressions, 2))


def comparisons(expressions):
    plain = st.tuples(st.sampled_from(COMPARISONS), expressions)
    among = st.tuples(st.sampled_from(["in", "not in"]), st.builds(Tuple, tuples(expressions, 1)))
    return st.builds(Compare, expressions, tuples(plain | among, 1))


def calls(expressions):
    functions = names.filter(lambda name: name.id not in ("mask", "require"))
    named = st.dictionaries(words, expressions, max_size=2)
    arguments = st.builds(
        lambda plain, named: (*map(Argument, plain), *(Argument(value, name) for name, value in named.items())),
        tuples(expressions, 0, 2),
        named,
    )
    brackets = st.builds(Bracket, tuples(names, 1), some(expressions))
    return st.builds(Call, functions, some(brackets), arguments)


def larger(expressions):
    entries = expressions | st.builds(Slice, some(expressions), some(expressions))
    return (
        st.builds(Unary, st.sampled_from(["-", "+", "not"]), expressions)
        | st.builds(Binary, st.sampled_from(list(BINARY)), expressions, expressions)
        | logic(expressions)
        | comparisons(expressions)
        | st.builds(Conditional, expressions, expressions, expressions)
        | st.builds(Subscript, names, tuples(entries, 1))
        | calls(expressions)
    )


atoms = (
    names
    | st.builds(Number, ints | finite)
    | st.builds(Boolean, st.booleans())
    | st.builds(Text, modes)
    | st.builds(Component, names, words)
)
expressions = st.recursive(atoms, larger, max_leaves=8)

sizes = expressions.filter(lambda size: not (isinstance(size, Binary) and size.operator == "|"))
components = st.dictionaries(words, expressions, min_size=1, max_size=3)
products = components.map(lambda parts: ProductSize(tuple(parts.items())))
axis_items = st.builds(AxisItem, tuples(names, 1), sizes | products | st.builds(JoinedSize, tuples(names, 2)))
input_items = st.builds(InputItem, words, tuples(expressions), st.sampled_from(["int", "float", "bool"]))
indices = some(tuples(names, 1))
clauses = (
    st.builds(Input, tuples(input_items, 1))
    | st.builds(Axis, tuples(axis_items, 1))
    | st.builds(Require, tuples(expressions, 1))
    | st.builds(Mask, expressions)
    | st.builds(Let, st.sampled_from(ROLES), words, indices, expressions)
    | st.builds(Output, tuples(st.builds(OutputItem, words, indices, some(expressions)), 1))
)

docs = st.text(alphabet="ab \n\"'\\#é", max_size=12).filter(
    lambda doc: any(is_docstring(f"{quote}{doc}{quote}") for quote in ('"""', "'''"))
)


@st.composite
def parameters(draw):
    out = []
    for name in draw(st.lists(words, unique=True, max_size=4)):
        kind = draw(st.sampled_from(["int", "float", "bool", "mode"]))
        choices = draw(st.lists(modes, unique=True, min_size=1, max_size=3).map(tuple)) if kind == "mode" else ()
        defaults = {
            "int": st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1),
            "float": st.floats(allow_nan=False),
            "bool": st.booleans(),
            "mode": st.sampled_from(choices or ("",)),
        }
        out.append(Parameter(name, kind, choices, draw(some(defaults[kind]))))
    return tuple(out)


@st.composite
def formals(draw):
    used = draw(st.lists(words, unique=True, max_size=4))
    split = draw(st.integers(min_value=0, max_value=len(used)))
    plain = [Formal(name, draw(tuples(names))) for name in used[:split]]
    return (*plain, *(Formal(name, (), draw(expressions)) for name in used[split:]))


attentions = st.builds(Attention, words, parameters(), tuples(clauses, 0, 5), some(docs))
defines = st.builds(
    Define, words, tuples(names), formals(), expressions, tuples(st.tuples(names, expressions)), some(docs)
)


@st.composite
def files(draw):
    items = draw(st.lists(attentions | defines | st.builds(Use, modes), min_size=1, max_size=3))
    items.append(draw(attentions | defines))
    doc = draw(some(docs)) if isinstance(items[0], Use) or items[0].doc is not None else None
    return File(tuple(items), doc)
