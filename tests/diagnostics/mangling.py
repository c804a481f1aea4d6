"""Texts that are nearly specs: tokens of real ones deleted, doubled, swapped and replaced; and random ones of its shape."""

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
ODD = ["0", "-1", "1e308", "9223372036854775807", "inf", "pi", "()", "[", "]", "[i]", "[j: j < i]", "[:0]", "[-1]", "with", "'a'", "N", "q", "out"]


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


_indices = st.sampled_from(["i", "j", "h", "b", "d", "e", "n", "t"])
_sizes = st.sampled_from(["N", "M", "D", "E", "H", "B", "G", "A", "R", "n", "8", "N + 1", "N // n", "2 * R", "0"])
_atoms = st.sampled_from(
    ["q[i]", "k[j]", "v[j]", "q", "k", "s", "p", "x", "x[j]", "x[i, j]", "w[h]", "w", "y[i]", "N", "D", "n", "1", "0", "2.5",
     "inf", "i", "j", "h", "f", "flag", "True", "x[j - 1]", "k[j, d]", "v[j, e]", "q[i, :R]", "y[i - 1]", "y", "x[z[j]]"]
)  # fmt: skip


def _grown(inner):
    binary = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "@", "<", "<=", "==", "!=", "and", "or", "in", "&", "<<", "|"])
    names = st.sampled_from(["exp", "log", "abs", "relu", "max", "min", "clamp", "floor", "size", "softmax", "norm", "cat", "mine"])
    over = st.sampled_from(
        ["sum", "max", "min", "prod", "mean", "softmax", "logsumexp", "cumsum", "rank", "top", "order", "mine", "any", "argmax"]
    )
    return st.one_of(
        st.builds("({} {} {})".format, inner, binary, inner),
        st.builds("{}({})".format, names, inner),
        st.builds("{}({}, {})".format, names, inner, inner),
        st.builds("{}[{}]({})".format, over, _indices, inner),
        st.builds("{}[{}: {}]({})".format, over, _indices, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{}[{}]".format, st.sampled_from(["q", "k", "x", "s", "y", "u"]), inner),
        st.builds("-{}".format, inner),
        st.builds("not ({})".format, inner),
    )


_expressions = st.recursive(_atoms, _grown, max_leaves=6)
_clauses = st.one_of(
    st.builds("input x[{}, {}]".format, _sizes, _sizes),
    st.builds("input w[{}]".format, _sizes),
    st.builds("input z[{}]: {}".format, _sizes, st.sampled_from(["int", "bool", "float"])),
    st.builds("axis {}: {}".format, _indices, _sizes),
    st.builds("axis {}, {}: {}".format, _indices, _indices, _sizes),
    st.builds("axis t: {{a: {}, b: {}}}".format, _sizes, _sizes),
    st.builds("axis t: {} | {}".format, _indices, _indices),
    st.builds("require {}".format, _expressions),
    st.builds("let y = {}".format, _expressions),
    st.builds("let y[{}] = {}".format, _indices, _expressions),
    st.builds("let u[{}, {}] = {}".format, _indices, _indices, _expressions),
    st.builds("score s = {}".format, _expressions),
    st.builds("mask {}".format, _expressions),
    st.builds("normalize p = {}".format, _expressions),
    st.builds("aggregate out[{}] = {}".format, _indices, _expressions),
    st.builds("output out, r = {}".format, _expressions),
)
shaped = st.builds(
    "define mine[j](x) = {} with m = {}\nattention a(n: int = 3, f: float = 0.5, flag: bool = False)\n{}\n".format,
    _expressions,
    _expressions,
    st.lists(_clauses, min_size=1, max_size=6).map("\n".join),
)
