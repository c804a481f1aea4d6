"""Mistakes in how clauses hang together: results that are not there, lets without an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...diagnostics import Diagnostic, PlacedMistake


@dataclass(frozen=True)
class CyclicLets(PlacedMistake):
    """`names` in the order of reading; `example` is a read that would be allowed."""

    code: ClassVar[str] = "cyclic-lets"
    names: tuple[str, ...]
    example: str

    def diagnostic(self) -> Diagnostic:
        if len(self.names) == 1:
            title = f"'{self.names[0]}' reads itself with no order"
        else:
            chain = " -> ".join(f"'{name}'" for name in (*self.names, self.names[0]))
            title = f"{chain} read each other with no order"
        fact = "a let may read itself only at a strictly smaller (or everywhere larger) index along one axis"
        helps = (f"read one step back: '{self.example}'",)
        return self.say(title, "this read closes the circle", note=fact, helps=helps)


@dataclass(frozen=True)
class StateOfVectors(PlacedMistake):
    """A let that reads itself and has features without an index. `indices` are those on its left."""

    code: ClassVar[str] = "state-of-vectors"
    name: str
    indices: tuple[str, ...]
    size: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' reads itself, and is a vector of size {self.size} without an index for it"
        listed = ", ".join((*self.indices, "d"))
        helps = (f"write an index for its features, in each read too: '{self.name}[{listed}] = …'",)
        return self.say(title, "this let reads itself", helps=helps)


@dataclass(frozen=True)
class FewEntriesOfCircle(PlacedMistake):
    """A let that reads itself, read with fewer entries than it has indices: `indices` are those on its left."""

    code: ClassVar[str] = "few-entries"
    name: str
    indices: tuple[str, ...]
    count: int

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' reads itself: it is read with an entry for each of its indices"
        label = f"{self.count} of {len(self.indices)} entries"
        return self.say(title, label, helps=(f"write them all, as in '{self.name}[{', '.join(self.indices)}]'",))


@dataclass(frozen=True)
class NoResult(PlacedMistake):
    code: ClassVar[str] = "no-result"
    attention: str

    def diagnostic(self) -> Diagnostic:
        title = f"the attention '{self.attention}' has no result"
        helps = ("give it an aggregate of another name: 'aggregate y[i] = sum[j](p * v[j])'",)
        fact = "the default aggregate is called 'out', and that name is taken"
        return self.say(title, "no aggregate and no output", note=fact, helps=helps)


@dataclass(frozen=True)
class OutputNotLet(PlacedMistake):
    code: ClassVar[str] = "not-a-result"
    name: str
    role: str

    def diagnostic(self) -> Diagnostic:
        helps = (f"give it a name of its own: 'output result = {self.name}'",)
        return self.say(f"'{self.name}' alone cannot be put out: it is {self.role}", "not a let", helps=helps)


@dataclass(frozen=True)
class DuplicateOutput(PlacedMistake):
    code: ClassVar[str] = "duplicate-name"
    name: str

    def diagnostic(self) -> Diagnostic:
        return self.say(f"the output '{self.name}' is listed twice", "listed again")
