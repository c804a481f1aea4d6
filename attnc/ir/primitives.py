"""The pointwise primitives: one row each with signature, derivative, smoothness and meaning.

A derivative is given per operand as a function of (graph, node, operands): the factor that multiplies the incoming
derivative, or None where it is 0. `meaning` is the formula in sympy's notation of x, y: tests differentiate it and
compare. Spellings live with their backends, torch's in runtime/pointwise.py; a test names a missing one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .graph import Graph
from .node import BOOL, FLOAT, INT, Node

Partial = Callable[[Graph, Node, tuple[Node, ...]], Node]


@dataclass(frozen=True)
class Primitive:
    """`result` None means the type of the operands; `partials` () means derivative 0 everywhere."""

    name: str
    arity: int
    result: str | None = FLOAT
    partials: tuple[Partial | None, ...] = ()
    smooth: bool = True
    meaning: str | None = None


def _one(graph: Graph) -> Node:
    return graph.const(1.0)


def _sigmoid(graph: Graph, x: Node) -> Node:
    return graph.map("sigmoid", (x,), FLOAT)


def _rows() -> list[Primitive]:
    two_over_root_pi = 1.1283791670955126
    return [
        Primitive("exp", 1, partials=(lambda g, n, a: n,), meaning="exp(x)"),
        Primitive("expm1", 1, partials=(lambda g, n, a: g.exp(a[0]),), meaning="exp(x) - 1"),
        Primitive("log", 1, partials=(lambda g, n, a: _reciprocal(g, a[0]),), meaning="log(x)"),
        Primitive("log1p", 1, partials=(lambda g, n, a: g.pow(g.add(_one(g), a[0]), -1),), meaning="log(1 + x)"),
        Primitive("tanh", 1, partials=(lambda g, n, a: g.sub(_one(g), g.mul(n, n)),), meaning="tanh(x)"),
        Primitive("sigmoid", 1, partials=(lambda g, n, a: g.mul(n, g.sub(_one(g), n)),), meaning="1 / (1 + exp(-x))"),
        Primitive("log_sigmoid", 1, partials=(lambda g, n, a: _sigmoid(g, g.neg(a[0])),), meaning="-log(1 + exp(-x))"),
        Primitive("softplus", 1, partials=(lambda g, n, a: _sigmoid(g, a[0]),), meaning="log(1 + exp(x))"),
        Primitive(
            "erf",
            1,
            partials=(lambda g, n, a: g.scale(two_over_root_pi, g.exp(g.neg(g.mul(a[0], a[0])))),),
            meaning="erf(x)",
        ),
        Primitive("sin", 1, partials=(lambda g, n, a: g.map("cos", a, FLOAT),), meaning="sin(x)"),
        Primitive("cos", 1, partials=(lambda g, n, a: g.neg(g.map("sin", a, FLOAT)),), meaning="cos(x)"),
        Primitive("atan2", 2, partials=(_atan2_first, _atan2_second), meaning="atan2(x, y)"),
        Primitive(
            "logaddexp",
            2,
            partials=(
                lambda g, n, a: _sigmoid(g, g.sub(a[0], a[1])),
                lambda g, n, a: _sigmoid(g, g.sub(a[1], a[0])),
            ),
            meaning="log(exp(x) + exp(y))",
        ),
        Primitive("power", 2, partials=(_power_base, _power_exponent), meaning="x ** y"),
        # piecewise: at a corner, torch's choice
        Primitive(
            "relu",
            1,
            partials=(lambda g, n, a: _step(g, g.compare(">", a[0], g.const(0.0))),),
            smooth=False,
            meaning="Max(x, 0)",
        ),
        Primitive("abs", 1, None, (lambda g, n, a: g.map("sign", a, FLOAT),), smooth=False, meaning="Abs(x)"),
        Primitive("sign", 1, None, smooth=False, meaning="sign(x)"),
        Primitive("max", 2, None, (_max_first, _max_second), smooth=False, meaning="Max(x, y)"),
        Primitive("min", 2, None, (_max_second, _max_first), smooth=False, meaning="Min(x, y)"),
        Primitive("where", 3, None, (None, _then, _other), smooth=False),
        Primitive("finite_or", 2, FLOAT, (lambda g, n, a: _one(g), None), smooth=False),
        Primitive("floor", 1, INT, smooth=False, meaning="floor(x)"),
        Primitive("ceil", 1, INT, smooth=False, meaning="ceiling(x)"),
        Primitive("round", 1, INT, smooth=False),
        Primitive("to_float", 1, FLOAT, smooth=False),
        Primitive("floordiv", 2, None, smooth=False, meaning="floor(x / y)"),
        Primitive("mod", 2, None, (lambda g, n, a: _one(g), _mod_second), smooth=False, meaning="x - y * floor(x / y)"),
        *_integers_and_conditions(),
        Primitive("add", -1, None),
        Primitive("mul", -1, None),
    ]


def _integers_and_conditions() -> list[Primitive]:
    return [
        *(Primitive(name, 2, INT, smooth=False) for name in ("bit_and", "bit_xor", "shift_left", "shift_right")),
        # the first operand, which moves as the second times the third does: see derivatives/roots.py
        Primitive("implicit", 3, FLOAT, (None, lambda g, n, a: a[2], None), smooth=False),
        # random numbers: 64 bits that depend on all bits of both operands, and 23 of them as a number within (0, 1)
        Primitive("hash", 2, INT, smooth=False),
        Primitive("unit", 1, FLOAT, smooth=False),
        # of searches: floating numbers as integers in the same order, and back; how far numbers of this size lie apart
        Primitive("in_order", 1, INT, smooth=False),
        Primitive("from_order", 1, FLOAT, smooth=False),
        Primitive("rounding", 1, FLOAT, smooth=False),
        *(Primitive(name, 2, BOOL, smooth=False) for name in ("less", "at_most", "equal")),
        *(Primitive(name, 1, BOOL, smooth=False) for name in ("at_most_zero", "equal_zero", "not")),
        *(Primitive(name, -1, BOOL, smooth=False) for name in ("and", "or")),
    ]


def _reciprocal(graph: Graph, x: Node) -> Node:
    """1 / x; 0 where x is a reduction over nothing, as every quotient by one."""
    inverse = graph.pow(x, -1)
    if x.kind != "reduce":
        return inverse
    return graph.guard(graph.negate(graph.compare("==", x, graph.const(0.0))), inverse)


def _step(graph: Graph, condition: Node) -> Node:
    return graph.guard(condition, _one(graph))


def _atan2_first(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    return g.div(a[1], g.add(g.mul(a[0], a[0]), g.mul(a[1], a[1])))


def _atan2_second(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    return g.neg(g.div(a[0], g.add(g.mul(a[0], a[0]), g.mul(a[1], a[1]))))


def _power_base(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    lower = g.map("power", (a[0], g.sub(a[1], _one(g))), FLOAT)
    return g.guard(g.negate(g.compare("==", a[1], g.const(0.0))), g.mul(a[1], lower))


def _power_exponent(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    return g.guard(g.compare(">", a[0], g.const(0.0)), g.mul(n, g.log(a[0])))


def _larger(g: Graph, left: Node, right: Node) -> Node:
    """1 where left is larger, a half where they are equal."""
    above = _step(g, g.compare(">", left, right))
    return g.add(above, g.scale(0.5, _step(g, g.compare("==", left, right))))


def _max_first(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    return _larger(g, a[0], a[1])


def _max_second(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    return _larger(g, a[1], a[0])


def _then(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    return _step(g, a[0])


def _other(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    return _step(g, g.negate(a[0]))


def _mod_second(g: Graph, n: Node, a: tuple[Node, ...]) -> Node:
    quotient = g.to_float(g.map("floor", (g.div(a[0], a[1]),), INT))
    return g.neg(quotient)


PRIMITIVES: dict[str, Primitive] = {row.name: row for row in _rows()}
