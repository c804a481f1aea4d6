"""Size expressions: what stands in an input's brackets, after an axis's colon, and in slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

from ..ir import Graph, Node
from ..ir.roles import EXTENT

_MOST_FORMS = 12


def size_text(size: Node) -> str:
    """A size in the user's notation."""
    if size.kind == "size" and size.attribute.startswith(EXTENT):
        return "a size that is read"
    if size.kind in ("size", "param", "const"):
        return str(size.attribute)
    if size.is_product:
        return " * ".join(_power_text(arg, exponent) for arg, exponent in zip(size.args, size.attribute))
    if size.is_sum:
        return _ceildiv_text(size) or _sum_text(size)
    if size.kind == "map" and size.op in ("floordiv", "mod"):
        left, right = (_inner_text(arg) for arg in size.args)
        return f"{left} {'//' if size.op == 'floordiv' else '%'} {right}"
    if size.kind == "map" and size.op in ("max", "min"):
        return f"{size.op}({', '.join(size_text(arg) for arg in size.args)})"
    return "a computed size"


def _inner_text(size: Node) -> str:
    text = size_text(size)
    return f"({text})" if " " in text and not text.endswith(")") else text


def _power_text(base: Node, exponent: int) -> str:
    return _inner_text(base) + (f" ** {exponent}" if exponent != 1 else "")


def _ceildiv_text(size: Node) -> str | None:
    """`ceildiv(a, b)` is -(-a // b) in the graph."""
    inner = size.args[0]
    if size.attribute != ((-1,), 0) or inner.kind != "map" or inner.op != "floordiv" or not inner.args[0].is_sum:
        return None
    coefficients, constant = inner.args[0].attribute
    above = _linear_text([(-c, arg) for c, arg in zip(coefficients, inner.args[0].args)], -constant)
    return f"ceildiv({above}, {size_text(inner.args[1])})"


def _sum_text(size: Node) -> str:
    coefficients, constant = size.attribute
    return _linear_text(list(zip(coefficients, size.args)), constant)


def _linear_text(terms: list[tuple[int, Node]], constant: int) -> str:
    parts = []
    for coefficient, arg in sorted(terms, key=lambda term: term[0] < 0):
        text = _inner_text(arg)
        sign = " - " if coefficient < 0 else " + "
        parts.append(sign + (text if abs(coefficient) == 1 else f"{abs(coefficient)} * {text}"))
    if constant:
        parts.append((" - " if constant < 0 else " + ") + str(abs(constant)))
    text = "".join(parts)
    return text[3:] if text.startswith(" + ") else "-" + text[3:]


def is_proved_outside(position: Node, size: Node, graph: Graph) -> bool:
    """A position below 0 or at or past the end, whatever the sizes: decided on linear forms."""
    return upper_bound(position) < 0 or lower_bound(graph.sub(position, size)) >= 0


def is_never_true(condition: Node, graph: Graph) -> bool:
    """Proved false by bounds of integer forms, whatever the sizes and indices."""
    if condition.kind == "const":
        return not condition.attribute
    if condition.kind != "map":
        return False
    if condition.op == "and":
        return any(is_never_true(part, graph) for part in condition.args) or _contradict(condition.args, graph)
    if condition.op == "or":
        return all(is_never_true(part, graph) for part in condition.args)
    if condition.op == "at_most_zero":
        return lower_bound(_by_sizes(condition.args[0], graph)) > 0
    if condition.op == "equal_zero":
        form = condition.args[0]
        return any(lower_bound(_by_sizes(one, graph)) > 0 for one in (form, graph.neg(form)))
    return False


def _contradict(conditions: Sequence[Node], graph: Graph) -> bool:
    """Whether two or three forms that must not be above 0 are above it together."""
    forms = []
    for condition in conditions:
        if condition.kind == "map" and condition.op in ("at_most_zero", "equal_zero"):
            forms.append(condition.args[0])
            if condition.op == "equal_zero":
                forms.append(graph.neg(condition.args[0]))
    some = forms[:_MOST_FORMS]
    return any(
        lower_bound(_by_sizes(graph.add(*together), graph)) > 0
        for count in (2, 3)
        for together in combinations(some, count)
    )


def lower_bound(form: Node) -> float:
    """What an integer form is never below; indices and sizes are at least 0."""
    if form.kind == "const":
        return float(form.attribute)
    if form.kind in ("index", "size"):
        return 0.0
    if form.is_sum:
        return _bound(form, lower_bound, upper_bound)
    return -math.inf


def upper_bound(form: Node) -> float:
    if form.kind == "const":
        return float(form.attribute)
    if form.is_sum:
        return _bound(form, upper_bound, lower_bound)
    return math.inf


def _bound(form: Node, same: Callable[[Node], float], opposite: Callable[[Node], float]) -> float:
    coefficients, constant = form.attribute
    total = float(constant)
    for c, arg in zip(coefficients, form.args):
        total += c * (same(arg) if c > 0 else opposite(arg))
    return total


def _by_sizes(form: Node, graph: Graph) -> Node:
    """A form that is nowhere larger: indices that count down are put at their last position."""
    if not form.is_sum:
        return form
    coefficients, constant = form.attribute
    parts = []
    for c, arg in zip(coefficients, form.args):
        ends = c < 0 and arg.kind == "index"
        parts.append((c, graph.sub(arg.attribute.size, graph.const(1)) if ends else arg))
    return graph.add(graph.combine(parts), graph.const(constant))
