"""Size expressions: what stands in an input's brackets, after an axis's colon, and in slices."""

from __future__ import annotations

from ..ir import Node
from ..ir.node import BOOL


def size_text(size: Node) -> str:
    """A size in the user's notation."""
    if size.kind in ("size", "param"):
        return str(size.attribute)
    if size.kind == "const":
        return str(size.attribute)
    if size.kind == "map" and size.op == "floordiv":
        return f"{size_text(size.args[0])} // {size_text(size.args[1])}"
    if size.is_product:
        return " * ".join(size_text(arg) for arg in size.args)
    if size.is_sum:
        return _sum_text(size)
    return "a computed size"


def _sum_text(size: Node) -> str:
    coefficients, constant = size.attribute
    parts = []
    for coefficient, arg in zip(coefficients, size.args):
        text = size_text(arg)
        sign = " - " if coefficient < 0 else " + "
        parts.append(sign + (text if abs(coefficient) == 1 else f"{abs(coefficient)} * {text}"))
    if constant:
        parts.append((" - " if constant < 0 else " + ") + str(abs(constant)))
    text = "".join(parts)
    return text[3:] if text.startswith(" + ") else text.strip()


def is_proved_outside(position: Node, size: Node, combine: object) -> bool:
    """A position below 0 or at or past the end, whatever the sizes: decided on linear forms."""
    from ..ir import Graph

    assert isinstance(combine, Graph)
    below = _upper_sign(position)
    above = _lower_sign(combine.sub(position, size))
    return below < 0 or above >= 0


def _upper_sign(form: Node) -> float:
    """An upper bound of a form of things that are never negative, or inf."""
    if form.kind == "const":
        return float(form.attribute)
    if form.is_sum and form.type != BOOL:
        coefficients, constant = form.attribute
        if all(c < 0 and is_never_negative(arg) for c, arg in zip(coefficients, form.args)):
            return float(constant)
    return float("inf")


def _lower_sign(form: Node) -> float:
    if form.kind == "const":
        return float(form.attribute)
    if is_never_negative(form):
        return 0.0
    if form.is_sum:
        coefficients, constant = form.attribute
        if all(c > 0 and is_never_negative(arg) for c, arg in zip(coefficients, form.args)):
            return float(constant)
    return float("-inf")


def is_never_negative(node: Node) -> bool:
    """Indices and sizes."""
    return node.kind in ("index", "size")
