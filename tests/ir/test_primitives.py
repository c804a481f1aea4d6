"""The table of primitives against sympy, and against the backends that spell it."""

import math
import random

import pytest
import sympy
import torch

from attnc.ir import Graph
from attnc.ir.node import FLOAT
from attnc.ir.primitives import PRIMITIVES
from attnc.runtime import pointwise
from attnc.runtime.reference import Evaluator

BUILT_BY_THE_GRAPH = {"add", "mul", "and", "or"}
POSITIVE = {"log": (1,), "power": (1,), "log1p": (1,)}


def apply(graph, name, operands):
    """A primitive through the constructor that keeps normal forms, where there is one."""
    made = {"exp": graph.exp, "log": graph.log}.get(name)
    return made(*operands) if made else graph.map(name, operands, PRIMITIVES[name].result or FLOAT)


def points(name, arity, count=20):
    """Numbers away from corners, positive where the primitive needs it."""
    rng = random.Random(name)
    for _ in range(count):
        point = [rng.choice([-1, 1]) * rng.uniform(0.3, 2.4) for _ in range(arity)]
        yield [abs(x) if n + 1 in POSITIVE.get(name, ()) else x for n, x in enumerate(point)]


def _without_jumps(derivative):
    """floor's derivative, which sympy leaves open, is 0 away from its jumps."""
    return derivative.replace(
        lambda part: isinstance(part, sympy.Derivative | sympy.Subs), lambda part: sympy.Integer(0)
    )


def derivative_error(name):
    """The largest relative error of the table's derivatives of one primitive against sympy's."""
    primitive = PRIMITIVES[name]
    symbols = sympy.symbols("x y", real=True)[: primitive.arity]
    meaning = sympy.sympify(primitive.meaning, locals=dict(zip("xy", symbols)))
    graph = Graph()
    operands = tuple(graph.param(letter, FLOAT) for letter in "xy"[: primitive.arity])
    node = apply(graph, name, operands)
    worst = 0.0
    for place, partial in enumerate(primitive.partials):
        exact = _without_jumps(sympy.diff(meaning, symbols[place]))
        found = graph.const(0.0) if partial is None else partial(graph, node, operands)
        for point in points(name, primitive.arity):
            wanted = float(exact.subs(dict(zip(symbols, point))).evalf())
            value = float(Evaluator({}, dict(zip("xy", point)), {}, torch.float64)(found))
            worst = max(worst, abs(value - wanted) / max(1.0, abs(wanted)))
    return worst


DIFFERENTIATED = [name for name, row in PRIMITIVES.items() if row.meaning and row.partials]


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_derivatives_are_sympy_s(name):
    assert derivative_error(name) < 1e-12


@pytest.mark.parametrize("name", [name for name, row in PRIMITIVES.items() if row.meaning and row.result == FLOAT])
def test_torch_computes_the_meaning(name):
    arity = PRIMITIVES[name].arity
    meaning = sympy.lambdify(sympy.symbols("x y")[:arity], sympy.sympify(PRIMITIVES[name].meaning), "math")
    graph = Graph()
    node = apply(graph, name, tuple(graph.param(letter, FLOAT) for letter in "xy"[:arity]))
    for point in points(name, arity):
        value = float(Evaluator({}, dict(zip("xy", point)), {}, torch.float64)(node))
        assert math.isclose(value, meaning(*point), rel_tol=1e-12)


def test_every_differentiable_primitive_has_a_meaning_to_be_checked_against():
    unchecked = {name for name, row in PRIMITIVES.items() if row.partials and not row.meaning}
    assert unchecked == {"where", "finite_or", "implicit"}  # choices and derivatives alone, not formulas


def test_torch_spells_every_primitive():
    assert PRIMITIVES.keys() - BUILT_BY_THE_GRAPH - pointwise.POINTWISE.keys() == {"to_float", "unit", "from_order"}
