"""What `from attnc.names import *` gives: the names of the language, so that editors and linters know them.

Each stands for something only inside a decorated function, whose text is read and never run; anything that ordinary
Python does with one raises `AttnError`. Python's own names (`sum`, `max`, `abs`, …) are not here: they are read as
themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from attnc.diagnostics import Diagnostic, Mistake

__all__ = [
    "B", "D", "E", "G", "H", "M", "N", "argmax", "argmin", "atan2", "b", "below_top", "cat", "causal", "ceil",
    "ceildiv", "clamp",
    "clipped_softmax", "cos", "cosine", "count", "cummax", "cumprod", "cumsum", "d", "dropout", "e", "elu", "entmax",
    "entmax15", "erf", "exclusive", "exp", "exp2", "expm1", "floor", "gelu", "gumbel", "h", "hard_sigmoid", "i",
    "inf", "j", "join", "k", "kth", "l1", "l2", "laplace", "log", "log1p", "log2", "log_sigmoid", "log_softmax",
    "logaddexp", "logsumexp", "mask", "mean", "norm", "onehot", "order", "out", "p", "pnorm", "power_softmax", "prod",
    "q", "rank", "relu", "require", "reverse", "root", "rope", "rsqrt", "s", "sample", "sigmoid", "sign",
    "signed_softmax", "silu", "sin", "sink_softmax", "size", "softcap", "softmax", "softmax1", "softmax2", "softplus",
    "solve", "sparsemax", "sqrt", "squared_relu", "standardize", "std", "stop_gradient", "straight", "subtractive",
    "tanh", "taylor_softmax", "top", "topk", "uniform", "v", "var", "weighted_softmax", "xlogy",
]  # fmt: skip


@dataclass(frozen=True)
class OutsideFunction(Mistake):
    """A name of the language that ordinary Python tried to use."""

    code: ClassVar[str] = "outside-function"
    name: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' of attnc.names only means something inside a decorated function"
        return Diagnostic(self.code, title, helps=("decorate the function with '@attnc.attention' or '@attnc.define'",))


class Word:
    """A name of the language: inert, and good for nothing but being read in the text of a decorated function."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name}: a name for decorated functions>"

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise OutsideFunction(self._name).error()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what tools ask of any object
            raise AttributeError(name)
        self._refuse()


def _every_operator() -> None:
    """Whatever an expression can do with a name raises; equality alone stays that of objects, as containers need."""
    binary = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
    unary = ("neg", "pos", "invert", "abs", "round", "floor", "ceil", "bool", "int", "float", "index", "len", "iter")
    others = ("call", "getitem", "contains", "lt", "le", "gt", "ge", "lshift", "rshift")
    for name in (*binary, *(f"r{name}" for name in binary), *unary, *others):
        setattr(Word, f"__{name}__", Word._refuse)


_every_operator()


def _words(names: str) -> Any:
    """`Any` for type checkers, since what the words may do is not theirs to judge."""
    return tuple(map(Word, names.split()))


inf = float("inf")

# The standard indices and sizes, and the tensors and values of the default chain.
b, h, i, j, d, e = _words("b h i j d e")
B, H, G, M, N, D, E = _words("B H G M N D E")
q, k, v, s, p, out = _words("q k v s p out")

# Clauses, and flags of scans.
mask, require = _words("mask require")
reverse, exclusive = _words("reverse exclusive")

# Operations.
(
    exp, exp2, expm1, log, log1p, log2, logaddexp, sqrt, rsqrt, sign, clamp, floor, ceil, relu, sigmoid,
    log_sigmoid, tanh,
) = _words(
    "exp exp2 expm1 log log1p log2 logaddexp sqrt rsqrt sign clamp floor ceil relu sigmoid log_sigmoid tanh"
)  # fmt: skip
(
    silu, gelu, elu, softplus, softcap, erf, sin, cos, atan2, stop_gradient, cat, size, ceildiv, join,
) = _words(
    "silu gelu elu softplus softcap erf sin cos atan2 stop_gradient cat size ceildiv join"
)  # fmt: skip
(
    prod, cumsum, cummax, cumprod, rank, order, top, root, uniform, solve,
) = _words(
    "prod cumsum cummax cumprod rank order top root uniform solve"
)  # fmt: skip
(
    softmax2, log_softmax, clipped_softmax, pnorm, power_softmax, taylor_softmax, subtractive, entmax15, entmax,
    hard_sigmoid, squared_relu, laplace, cosine, below_top,
) = _words(
    "softmax2 log_softmax clipped_softmax pnorm power_softmax taylor_softmax subtractive entmax15 entmax "
    "hard_sigmoid squared_relu laplace cosine below_top"
)  # fmt: skip
(
    mean, var, std, norm, count, logsumexp, argmax, argmin, topk, kth, dropout, gumbel, onehot, straight,
) = _words(
    "mean var std norm count logsumexp argmax argmin topk kth dropout gumbel onehot straight"
)  # fmt: skip
(
    softmax, softmax1, sink_softmax, weighted_softmax, signed_softmax, l1, l2, standardize, sparsemax, rope,
    sample, causal, xlogy,
) = _words(
    "softmax softmax1 sink_softmax weighted_softmax signed_softmax l1 l2 standardize sparsemax rope "
    "sample causal xlogy"
)  # fmt: skip
