"""What is well-formed and refused all the same: what no pass lowers yet, and roots that are not proved to be unique."""

from __future__ import annotations

from dataclasses import dataclass

from ..diagnostics import Diagnostic, Label, Mistake, Span
from ..ir import Node
from ..ir.node import walk
from ..ir.roles import LENGTH, OUTER, Roles
from ..ir.text import expression
from .ranges import range_of


@dataclass(frozen=True)
class NotLowered(Mistake):
    """A construct that is checked but cannot be computed yet."""

    span: Span
    construct: str

    def diagnostic(self) -> Diagnostic:
        labels = (Label(self.span, "used here"),) if self.span.source.text else ()
        note = "the language has it and this spec is well-formed; this version checks it but does not compute it"
        return Diagnostic("not-lowered", f"{self.construct} cannot be compiled yet", labels, note)


@dataclass(frozen=True)
class NotMonotone(Mistake):
    """A root that may have several values, or none."""

    span: Span
    slope: str

    def diagnostic(self) -> Diagnostic:
        labels = (Label(self.span, "this must only rise or only fall"),) if self.span.source.text else ()
        note = f"its derivative in the unknown is {self.slope}"
        return Diagnostic(
            "not-monotone", "'root' needs what is proved to rise, or to fall, with the unknown", labels, note
        )


def first_not_monotone(root: Node) -> NotMonotone | None:
    """The first root below a node whose slope has no sign that its form proves."""
    for node in walk(root):
        if node.kind == "root" and not node.is_least:
            slope = node.args[1]
            low, high = range_of(slope)
            if slope.is_const(0.0) or not (low >= 0 or high <= 0):
                return NotMonotone(node.span, _brief(slope))
    return None


def _brief(node: Node) -> str:
    text = expression(node)
    return f"'{text}'" if len(text) <= 100 else f"'{text[:100]}…'"


def first_unsupported(root: Node) -> NotLowered | None:
    """The first construct below a node that has no lowering; one of the language's rather than what it is of."""
    for node in walk(root):
        if node.kind == "opaque":
            return NotLowered(node.span, node.attribute[1])
    for node in walk(root):
        for axis in node.axes | frozenset(node.bound):
            if axis.construct:
                return NotLowered(node.span, axis.construct)
            if axis.parts:
                return NotLowered(node.span, "a result or a position over a whole joined axis")
    return None


def first_mixing_of_heads(root: Node, roles: Roles) -> NotLowered | None:
    """A sum over heads of pairwise values: no pass does that yet."""
    for node in walk(root):
        if node.kind != "reduce":
            continue
        pairwise = len(roles.axes(node.axes, LENGTH)) > 1
        if pairwise and not roles.axes(node.attribute, LENGTH) and roles.axes(node.attribute, OUTER):
            return NotLowered(node.span, "mixing heads of pairwise values")
    return None
