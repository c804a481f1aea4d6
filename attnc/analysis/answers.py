"""Answers -> text: what was proved of a spec before it was planned."""

from __future__ import annotations

from collections.abc import Iterable

from ..ir import Axis, Node
from ..ir.node import GRADIENT, walk
from ..ir.roles import LENGTH, OUTER, WIDTH
from ..ir.text import expression
from ..pipeline import Derivation

_ROLES = {OUTER: "runs in parallel", LENGTH: "is streamed", WIDTH: "is compiled in"}


def print_answers(derivation: Derivation) -> str:
    """Roles of axes, proved shifts, what the backward keeps and which gradients are 0."""
    lines: list[str] = []
    roots = {name: node for name, (node, _) in derivation.forward.items()}
    for axis in _axes(roots.values()):
        role = derivation.roles.of(axis)
        lines.append(f"axis {axis.name} (size {expression(axis.size)}) {_ROLES[role]}")
    for name, node in roots.items():
        for shift in _shifts(node):
            lines.append(f"{name} does not change when '{expression(shift, longest=100)}' does: it needs no derivative")
    wanted = [d.name for d in derivation.meaning.inputs if d.tensor.type == "float"]
    gradient = derivation.gradient(wanted)
    for saved in gradient.kept:
        axes = ", ".join(axis.name for axis in saved.axes)
        what = f"the result '{saved.result}'" if saved.result else f"'{expression(saved.node, longest=100)}'"
        lines.append(f"kept for the backward: {what}, for each {axes}")
    lines += [f"the gradient of '{name}' is 0 everywhere" for name in gradient.missing]
    for name in wanted:
        parts = [target for target in gradient.targets if target.tensor.name == GRADIENT + name]
        if len(parts) > 1:
            lines.append(f"the gradient of '{name}' has {len(parts)} parts, one for each way it is read")
    return "\n".join(lines) + "\n"


def _axes(roots: Iterable[Node]) -> list[Axis]:
    found: set[Axis] = set()
    for root in roots:
        for node in walk(root):
            found |= node.axes | frozenset(node.bound)
    return sorted(found, key=lambda axis: axis.number)


def _shifts(root: Node) -> list[Node]:
    found = [n.args[0] for n in walk(root) if n.kind == "stop" and n.args[0].kind == "map"]
    return [n.args[0] for n in found if n.op == "finite_or"]
