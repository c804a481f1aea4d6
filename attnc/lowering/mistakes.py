"""What can be wrong in a spec that parses: one class for each kind of mistake."""

from __future__ import annotations

from dataclasses import dataclass

from ..diagnostics import Diagnostic, Label, Mistake, Span


@dataclass(frozen=True)
class Wrong(Mistake):
    """A mistake told by its parts: used where one sentence and one place say it all."""

    kind: str
    title: str
    span: Span
    text: str = ""
    others: tuple[tuple[Span, str], ...] = ()
    note: str | None = None
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        labels = (Label(self.span, self.text), *(Label(span, text) for span, text in self.others))
        return Diagnostic(self.kind, self.title, labels, self.note, self.helps)


@dataclass(frozen=True)
class UnknownName(Mistake):
    span: Span
    name: str
    near: str | None
    near_span: Span | None = None
    near_role: str = ""

    def diagnostic(self) -> Diagnostic:
        labels = [Label(self.span, "not defined here")]
        if self.near_span is not None and self.near_span.source == self.span.source:
            labels.append(Label(self.near_span, f"'{self.near}' is {self.near_role} of this attention"))
        helps = (f"did you mean '{self.near}'?",) if self.near else ()
        return Diagnostic("unknown-name", f"nothing named '{self.name}' is in scope", tuple(labels), None, helps)


@dataclass(frozen=True)
class UnknownFunction(Mistake):
    span: Span
    name: str
    near: str | None

    def diagnostic(self) -> Diagnostic:
        helps = (f"did you mean '{self.near}'?",) if self.near else ()
        title = f"there is no function or definition named '{self.name}'"
        return Diagnostic("unknown-function", title, (Label(self.span, "not known"),), None, helps)


@dataclass(frozen=True)
class AxisMismatch(Mistake):
    span: Span
    index: str
    index_size: str
    tensor: str
    axis_size: str
    place: int
    declared: Span | None
    helps: tuple[str, ...]

    def diagnostic(self) -> Diagnostic:
        labels = [Label(self.span, f"'{self.index}' runs over {self.index_size}")]
        if self.declared is not None and self.declared.source == self.span.source:
            labels.append(Label(self.declared, f"axis {self.place} of '{self.tensor}' has size {self.axis_size}"))
        title = f"'{self.index}' runs over {self.index_size}, but axis {self.place} of '{self.tensor}' has size "
        return Diagnostic("axis-mismatch", title + self.axis_size, tuple(labels), None, self.helps)


@dataclass(frozen=True)
class VectorMismatch(Mistake):
    span: Span
    left: str
    right: str
    operator: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.operator}' joins a vector of size {self.left} and one of size {self.right}"
        helps = ("say that they are equal: " + f"'require {self.left} == {self.right}'",)
        return Diagnostic("vector-mismatch", title, (Label(self.span, "these sizes differ"),), None, helps)


@dataclass(frozen=True)
class MixedVector(Mistake):
    span: Span
    index: str
    size: str

    def diagnostic(self) -> Diagnostic:
        title = f"an anonymous vector of size {self.size} meets the explicit index '{self.index}' of that size"
        labels = (Label(self.span, f"one side has '{self.index}', the other an unnamed axis"),)
        helps = (f"write the index on both sides, as in 'q[i, {self.index}]'",)
        return Diagnostic("mixed-vector", title, labels, None, helps)


@dataclass(frozen=True)
class WrongType(Mistake):
    span: Span
    wanted: str
    found: str
    where: str
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        title = f"{self.where} must be {self.wanted}, not {self.found}"
        return Diagnostic("wrong-type", title, (Label(self.span, f"this is {self.found}"),), None, self.helps)


@dataclass(frozen=True)
class MaskNotBoolean(Mistake):
    span: Span
    found: str

    def diagnostic(self) -> Diagnostic:
        labels = (Label(self.span, f"this is {self.found}"),)
        note = "a mask says which index tuples exist; it adds nothing to a score"
        helps = ("compare it with something: 'mask x > 0'", "to add to the score, write it in the score clause")
        return Diagnostic("mask-not-boolean", "a mask must be a condition", labels, note, helps)


@dataclass(frozen=True)
class DuplicateName(Mistake):
    span: Span
    name: str
    first: Span
    role: str

    def diagnostic(self) -> Diagnostic:
        labels = [Label(self.span, "declared again")]
        if self.first.source == self.span.source and self.first != self.span:
            labels.append(Label(self.first, f"'{self.name}' is {self.role} already"))
        return Diagnostic("duplicate-name", f"'{self.name}' is declared twice", tuple(labels))


@dataclass(frozen=True)
class MissingIndex(Mistake):
    span: Span
    name: str
    index: str
    left: Span

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' depends on '{self.index}', which its left side does not list"
        labels = (Label(self.left, f"'{self.index}' is missing here"), Label(self.span, f"depends on '{self.index}'"))
        helps = (f"list it on the left, or reduce over it: 'sum[{self.index}](…)'",)
        return Diagnostic("missing-index", title, labels, None, helps)


@dataclass(frozen=True)
class ReboundIndex(Mistake):
    span: Span
    index: str
    left: Span

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.index}' is written on the left and bound again by a reduction"
        labels: tuple[Label, ...] = (Label(self.span, f"binds '{self.index}', so nothing depends on it any more"),)
        if self.left.source == self.span.source:
            labels += (Label(self.left, f"'{self.index}' is free here"),)
        helps = (f"declare a second index over the same size, or leave '{self.index}' out on the left",)
        return Diagnostic("rebound-index", title, labels, None, helps)


@dataclass(frozen=True)
class IdleReduction(Mistake):
    span: Span
    operation: str
    index: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.operation}[{self.index}]' reduces over '{self.index}', but nothing in it depends on it"
        labels = (Label(self.span, f"does not depend on '{self.index}'"),)
        return Diagnostic("idle-reduction", title, labels, None, ())


@dataclass(frozen=True)
class CyclicLets(Mistake):
    names: tuple[str, ...]
    span: Span

    def diagnostic(self) -> Diagnostic:
        chain = " -> ".join(f"'{name}'" for name in (*self.names, self.names[0]))
        title = f"{chain} read each other with no order" if len(self.names) > 1 else f"{chain[: len(chain) // 2 - 2]} reads itself with no order"
        labels = (Label(self.span, "this read closes the circle"),)
        note = "a let may read itself only at a strictly smaller (or everywhere larger) index along one axis"
        helps = (f"read it one step back: '{self.names[0]}[t - 1, …]'",)
        return Diagnostic("cyclic-lets", title, labels, note, helps)


@dataclass(frozen=True)
class WrongArguments(Mistake):
    span: Span
    name: str
    wanted: str
    found: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' takes {self.wanted}, not {self.found}"
        return Diagnostic("wrong-arguments", title, (Label(self.span, self.found),))


@dataclass(frozen=True)
class UnboundSize(Mistake):
    span: Span
    name: str
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        title = f"nothing that is given at the call tells the size '{self.name}'"
        labels = (Label(self.span, "needed here"),)
        note = "a size is known when some input that the spec reads has an axis of just that size"
        return Diagnostic("unbound-size", title, labels, note, self.helps)


def a_type(type: str) -> str:
    """How a message names an element type."""
    return {"float": "a float", "int": "an integer", "bool": "a condition"}[type]
