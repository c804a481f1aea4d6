"""What the language says and no pass lowers yet: refused in one place, naming the construct."""

from __future__ import annotations

from dataclasses import dataclass

from ..diagnostics import Diagnostic, Label, Mistake, Span
from ..ir import Node
from ..ir.node import walk


@dataclass(frozen=True)
class NotLowered(Mistake):
    """A construct that is checked but cannot be computed yet."""

    span: Span
    construct: str

    def diagnostic(self) -> Diagnostic:
        labels = (Label(self.span, "used here"),) if self.span.source.text else ()
        note = "the language has it and this spec is well-formed; this version checks it but does not compute it"
        return Diagnostic("not-lowered", f"{self.construct} cannot be compiled yet", labels, note)


def first_unsupported(root: Node) -> NotLowered | None:
    """The first construct below a node that has no lowering."""
    for node in walk(root):
        if node.kind == "opaque":
            return NotLowered(node.span, node.attribute[1])
        for axis in node.axes | frozenset(node.bound):
            if axis.construct:
                return NotLowered(node.span, axis.construct)
    return None
