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
        return self.say(title, "this read closes the circle", note=fact, helps=(f"read one step back: '{self.example}'",))


@dataclass(frozen=True)
class NoResult(PlacedMistake):
    code: ClassVar[str] = "no-result"
    attention: str

    def diagnostic(self) -> Diagnostic:
        title = f"the attention '{self.attention}' has no result"
        helps = ("add 'aggregate out[i] = sum[j](p * v[j])'", "or list its results: 'output …'")
        return self.say(title, "nothing is computed", helps=helps)


@dataclass(frozen=True)
class DuplicateOutput(PlacedMistake):
    code: ClassVar[str] = "duplicate-name"
    name: str

    def diagnostic(self) -> Diagnostic:
        return self.say(f"the output '{self.name}' is listed twice", "listed again")
