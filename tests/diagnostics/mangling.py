"""Texts that are nearly specs: tokens of real ones deleted, doubled, swapped or replaced; random ones of that shape."""

import re
from pathlib import Path

from hypothesis import strategies as st

_ROOT = Path(__file__).parents[2]
SPECS = [
    path.read_text()
    for folder in ("examples", "tests/specs", "tests/grammar/language", "tests/diagnostics/spec/not-lowered")
    for path in sorted((_ROOT / folder).glob("*.attn"))
]
_TOKEN = re.compile(r'"""[^"]*"""|"[^"\n]*"|#.*|\w+|\*\*|//|<=|>=|==|!=|<<|>>|\s+|.', re.DOTALL)
WORDS = sorted({token for spec in SPECS for token in _TOKEN.findall(spec) if not token.isspace()} - {"use"})
ODD = [
    "0",
    "-1",
    "1e308",
    "9223372036854775807",
    "inf",
    "pi",
    "()",
    "[",
    "]",
    "[i]",
    "[j: j < i]",
    "[:0]",
    "[-1]",
    "with",
    "'a'",
    "N",
    "q",
    "out",
]


@st.composite
def mangled(draw):
    """A real spec with a few of its tokens changed."""
    tokens = _TOKEN.findall(draw(st.sampled_from(SPECS)))
    for _ in range(draw(st.integers(1, 4))):
        solid = [n for n, token in enumerate(tokens) if not token.isspace()]
        if not solid:
            break
        place, other = draw(st.sampled_from(solid)), draw(st.sampled_from(solid))
        change = draw(st.sampled_from(["delete", "double", "swap", "copy", "replace", "insert"]))
        if change == "delete":
            del tokens[place]
        elif change == "double":
            tokens.insert(place, tokens[place] + " ")
        elif change == "swap":
            tokens[place], tokens[other] = tokens[other], tokens[place]
        elif change == "copy":
            tokens[place] = tokens[other]
        elif change == "replace":
            tokens[place] = draw(st.sampled_from(WORDS + ODD))
        else:
            tokens.insert(place, draw(st.sampled_from(WORDS + ODD)) + " ")
    return "".join(tokens)


_HEADER = "input x[N, D], w[H], z[N]: int, c[B, N]: bool, mu: float\n"
_OWN = ["i", "j", "h", "b", "d", "e", "n", "t"]
_SIZES = ["N", "M", "D", "E", "H", "B", "G", "A", "4", "N + 1", "count", "ceildiv(N, 2)", "0", "D // 2"]
_ATOMS = [
    "q[i]", "k[j]", "v[j]", "q[i] @ k[j]", "s", "p", "x[j]", "x[j, d]", "w[h]", "w", "y", "y[i]", "y[j - 1]", "N",
    "D", "1", "0", "2.5", "inf", "i", "j", "h", "n", "t", "mu", "f", "flag", "count", "k[j, d]", "v[j, e]", "q[i, :2]",
    "x[z[j]]",     "z[j]", "c[j]", "i - j", "j <= i", "u[i, j]", "s[i - 1, j]", "p[j]",
]  # fmt: skip
_BINARY = [*"+-*/@<%&|", "//", "**", "<=", "==", "and", "or", "in", "<<"]
_PLAIN = [
    "exp",
    "log",
    "abs",
    "relu",
    "floor",
    "size",
    "norm",
    "sigmoid",
    "stop_gradient",
    "softmax",
    "mine",
    "cat",
    "ceil",
]
_OVER = [
    "sum", "sum", "max", "min", "prod", "mean", "softmax", "softmax", "logsumexp", "cumsum", "rank", "any", "argmax",
    "mine", "count", "uniform", "sparsemax", "rope",
]  # fmt: skip


def _expressions(atoms, indices):
    index = st.sampled_from(indices)

    def grown(inner):
        return st.one_of(
            st.builds("({} {} {})".format, inner, st.sampled_from(_BINARY), inner),
            st.builds("{}({})".format, st.sampled_from(_PLAIN), inner),
            st.builds("{}({}, {})".format, st.sampled_from(["max", "min", "softcap", "cat", "atan2"]), inner, inner),
            st.builds("{}[{}]({})".format, st.sampled_from(_OVER), index, inner),
            st.builds("{}[{}: {}]({})".format, st.sampled_from(_OVER), index, inner, inner),
            st.builds("({} if {} else {})".format, inner, inner, inner),
            st.builds("{}[{}]".format, st.sampled_from(["w", "x", "z", "y", "k", "c"]), inner),
            st.builds("(-{})".format, inner),
            st.builds("(not {})".format, inner),
        )

    return st.recursive(st.sampled_from(atoms), grown, max_leaves=5)


_values, _bodies = _expressions(_ATOMS, _OWN), _expressions(["x", "j", "m", "1", "0.5", "size(j)", "x[j + 1]"], ["j"])
_index, _size = st.sampled_from(_OWN), st.sampled_from(_SIZES)
_declarations = st.one_of(
    st.builds("axis {}: {}".format, _index, _size),
    st.builds("axis i, j: {}".format, _size),
    st.builds("axis t: {{a: {}, b: {}}}".format, _size, _size),
    st.builds("axis t: {} | {}".format, _index, _index),
    st.builds("axis t: z[{}]".format, _index),
    st.builds("require {}".format, _values),
    st.builds("input r[{}, {}]".format, _size, _size),
    st.just("axis n: N axis t: 4"),
)
_clauses = [
    st.builds("let y = {}".format, _values),
    st.builds("let y[{}] = {}".format, _index, _values),
    st.builds("let u[i, j] = {}".format, _values),
    st.builds("score s = {}".format, _values),
    st.builds("mask {}".format, _values),
    st.builds("normalize p = {}".format, _values),
    st.builds("aggregate out[{}] = {}".format, _index, _values),
    st.builds("output out, r = {}".format, _values),
    st.builds("output r[{}] = {}".format, _index, _values),
]
shaped = st.builds(
    (
        "define mine[j](x) = {} with m = {}\nattention a(count: int = 3, f: float = 0.5, flag: bool = False)\n"
        + _HEADER
        + "{}\n{}"
    ).format,
    _bodies,
    _expressions(["x", "j", "1", "x[j - 1]"], ["j"]),
    st.lists(_declarations, max_size=2).map("\n".join),
    st.lists(st.integers(0, len(_clauses) - 1), max_size=4, unique=True).flatmap(
        lambda chosen: st.tuples(*(_clauses[n] for n in chosen)).map("\n".join)
    ),
)
