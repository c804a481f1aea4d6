"""Mistakes in indices, axes and subscripts: what does not fit the axis that it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...diagnostics import Diagnostic, Label, PlacedMistake, Span
from .spelling import spelled


@dataclass(frozen=True)
class AxisMismatch(PlacedMistake):
    """An index on an axis of another size. `roles` are the words of both where each is a standard one."""

    code: ClassVar[str] = "axis-mismatch"
    index: str
    index_size: str
    tensor: str
    axis_size: str
    place: int
    roles: tuple[str, str] | None = None
    declared: Span | None = None
    note: str | None = None
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        if self.roles is not None:
            title = f"'{self.tensor}' is indexed by {self.roles[0]} on its {self.roles[1]} axis"
        else:
            where = f"axis {self.place} of '{self.tensor}' has size {self.axis_size}"
            title = f"'{self.index}' runs over {self.index_size}, but {where}"
        other = Label(self.declared, f"this axis has size {self.axis_size}") if self.declared is not None else None
        label = f"'{self.index}' runs over {self.index_size}"
        return self.say(title, label, other, note=self.note, helps=self.helps)


@dataclass(frozen=True)
class VectorMismatch(PlacedMistake):
    """`span` and `other` are the two sides where both are known; else `span` is the whole operation."""

    code: ClassVar[str] = "vector-mismatch"
    left: str
    right: str
    operator: str
    other: Span | None = None
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.operator}' joins a vector of size {self.left} and one of size {self.right}"
        if self.other is None:
            return self.say(title, "these sizes differ", helps=(self.remedy,))
        other = Label(self.other, f"a vector of size {self.right}")
        return self.say(title, f"a vector of size {self.left}", other, helps=(self.remedy,))


@dataclass(frozen=True)
class MixedVector(PlacedMistake):
    """The span is the side with the index, `vector` the one with the unnamed axis."""

    code: ClassVar[str] = "mixed-vector"
    index: str
    size: str
    vector: Span | None = None
    example: str | None = None

    def diagnostic(self) -> Diagnostic:
        title = f"an unnamed axis of size {self.size} meets the index '{self.index}' over the same size"
        other = Label(self.vector, "has an unnamed axis") if self.vector is not None else None
        help = f"write the index on both sides: '{self.example}'" if self.example else None
        return self.say(title, f"depends on '{self.index}'", other, helps=(help,))


@dataclass(frozen=True)
class NotAVector(PlacedMistake):
    code: ClassVar[str] = "not-a-vector"
    title: str
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        return self.say(self.title, "this has no trailing axis", helps=(self.remedy,))


@dataclass(frozen=True)
class TooManyEntries(PlacedMistake):
    """The span is the first entry that is too much; `shape` is how the tensor is declared."""

    code: ClassVar[str] = "too-many-entries"
    name: str
    axes: int
    entries: int
    shape: str | None = None
    declared: Span | None = None

    def diagnostic(self) -> Diagnostic:
        axes = f"{self.axes} {'axis' if self.axes == 1 else 'axes'}"
        title = f"'{self.name}' has {axes}, but {self.entries} entries are given"
        other = Label(self.declared, "declared here") if self.declared is not None else None
        note = f"undeclared, '{self.name}' means '{self.shape}'" if self.shape and self.declared is None else None
        return self.say(title, "one too many", other, note=note)


@dataclass(frozen=True)
class AlwaysOutside(PlacedMistake):
    code: ClassVar[str] = "always-outside"
    name: str
    size: str

    def diagnostic(self) -> Diagnostic:
        title = f"this read of '{self.name}' is always outside, so it is always 0"
        fact = "positions are not counted from the end"
        help = f"the last one is '{self.size} - 1'"
        return self.say(title, f"this axis begins at 0 and has size {self.size}", note=fact, helps=(help,))


@dataclass(frozen=True)
class BadSize(PlacedMistake):
    code: ClassVar[str] = "bad-size"
    reason: str
    note: str | None = None

    def diagnostic(self) -> Diagnostic:
        return self.say("an axis needs a size of at least 1", self.reason, note=self.note)


@dataclass(frozen=True)
class SizeFromTensor(PlacedMistake):
    """The size of an input's axis must be known before any tensor is read."""

    code: ClassVar[str] = "bad-size"
    tensor: str

    def diagnostic(self) -> Diagnostic:
        title = f"the size of an input's axis cannot be read from the tensor '{self.tensor}'"
        helps = (f"make it a parameter: '{self.tensor}: int'",)
        return self.say(title, "the values of a tensor are not known here", helps=helps)


@dataclass(frozen=True)
class BadSlice(PlacedMistake):
    code: ClassVar[str] = "bad-slice"
    reason: str

    def diagnostic(self) -> Diagnostic:
        return self.say("the width of a slice must be a positive size", self.reason)


@dataclass(frozen=True)
class MissingIndex(PlacedMistake):
    """The span is the left side, `value` a part of the right side that depends on the index."""

    code: ClassVar[str] = "missing-index"
    name: str
    index: str
    value: Span | None
    listed: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' depends on '{self.index}', which its left side does not list"
        other = Label(self.value, f"depends on '{self.index}'") if self.value is not None else None
        left = f"{self.name}[{', '.join((*self.listed, self.index))}]"
        helps = (f"list it: '{left} = …'", f"or reduce over it: 'sum[{self.index}](…)'")
        return self.say(title, f"'{self.index}' is missing here", other, helps=helps)


@dataclass(frozen=True)
class ReboundIndex(PlacedMistake):
    code: ClassVar[str] = "rebound-index"
    index: str
    left: Span
    size: str | None = None

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.index}' is written on the left and bound again by a reduction"
        other = Label(self.left, f"'{self.index}' is free here")
        helps = (
            f"reduce over a second index: '{spelled(self.span, 'axis', f'{self.index}2: {self.size}')}'"
            if self.size
            else None,
            f"{'or ' if self.size else ''}leave '{self.index}' out on the left",
        )
        return self.say(title, f"binds '{self.index}', so nothing depends on it any more", other, helps=helps)


@dataclass(frozen=True)
class TwiceBound(PlacedMistake):
    code: ClassVar[str] = "twice-bound"
    index: str
    where: str
    first: Span | None = None

    def diagnostic(self) -> Diagnostic:
        other = Label(self.first, "first here") if self.first is not None else None
        return self.say(f"'{self.index}' stands twice {self.where}", "again here", other)


@dataclass(frozen=True)
class IdleReduction(PlacedMistake):
    code: ClassVar[str] = "idle-reduction"
    operation: str
    index: str
    bracket: Span

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.operation}' runs over '{self.index}', but nothing in it depends on '{self.index}'"
        other = Label(self.bracket, f"runs over '{self.index}'")
        help = f"to count, multiply by 'sum[{self.index}](1)'" if self.operation == "sum" else None
        return self.say(title, f"does not depend on '{self.index}'", other, helps=(help,))


@dataclass(frozen=True)
class RaggedAlone(PlacedMistake):
    code: ClassVar[str] = "ragged-alone"
    index: str
    missing: tuple[str, ...]
    declared: Span

    def diagnostic(self) -> Diagnostic:
        lacks = " and ".join(f"'{name}'" for name in self.missing)
        title = f"how many '{self.index}' there are depends on {lacks}, which is not known here"
        label = Label(self.declared, f"depends on {lacks}")
        help = f"reduce over {lacks} around it, or list {lacks} on the left side of the clause"
        return self.say(title, f"runs over '{self.index}'", label, helps=(help,))


@dataclass(frozen=True)
class LetWithoutIndices(PlacedMistake):
    code: ClassVar[str] = "let-without-indices"
    name: str
    left: str
    declared: Span | None

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' is defined without indices and cannot be read at any"
        other = Label(self.declared, "no indices are written here") if self.declared is not None else None
        helps = (f"write '{self.name}' alone", f"or write the indices where it is defined: '{self.left} = …'")
        return self.say(title, "read with indices", other, helps=helps)


@dataclass(frozen=True)
class SeveralIndices(PlacedMistake):
    code: ClassVar[str] = "several-indices"
    name: str
    axes: tuple[str, ...]

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' stands for the {len(self.axes)} indices {', '.join(self.axes)} in this call"
        return self.say(title, "so it has no single position")
