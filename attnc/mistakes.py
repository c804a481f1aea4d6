"""Mistakes in files and how they hang together: what cannot be read, used or found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .diagnostics import Diagnostic, Label, Mistake, PlacedMistake, Span, did_you_mean


@dataclass(frozen=True)
class UnreadableFile(Mistake):
    """`place` is the `use` that asked for it, if any."""

    code: ClassVar[str] = "unreadable-file"
    path: str
    reason: str
    place: Span | None = None

    def diagnostic(self) -> Diagnostic:
        labels = (Label(self.place, "used here"),) if self.place is not None else ()
        return Diagnostic(self.code, f"'{self.path}' cannot be read: {self.reason}", labels)


@dataclass(frozen=True)
class BadUse(PlacedMistake):
    code: ClassVar[str] = "bad-use"
    title: str
    label: str
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        return self.say(self.title, self.label, helps=(self.remedy,))


@dataclass(frozen=True)
class NoAttention(Mistake):
    code: ClassVar[str] = "no-attention"
    name: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' holds definitions but no attention"
        return Diagnostic(self.code, title, (), None, (f"use it from another file: 'use \"{self.name}\"'",))


@dataclass(frozen=True)
class UnknownAttention(Mistake):
    code: ClassVar[str] = "unknown-attention"
    name: object
    known: tuple[str, ...]

    def diagnostic(self) -> Diagnostic:
        near = did_you_mean(str(self.name), self.known)
        helps = (f"did you mean '{near}'?",) if near else ()
        return Diagnostic(
            self.code, f"there is no attention '{self.name}' here", (), f"there are {', '.join(self.known)}", helps
        )


@dataclass(frozen=True)
class NotDifferentiable(Mistake):
    """Asked for the derivative in something that is no floating input, or (`name` None) in nothing."""

    code: ClassVar[str] = "not-differentiable"
    attention: str
    name: object
    known: tuple[str, ...]

    def diagnostic(self) -> Diagnostic:
        near = did_you_mean(str(self.name), self.known)
        helps = (f"did you mean '{near}'?",) if near else ()
        title = f"'{self.attention}' has no floating input '{self.name}' to be differentiated in"
        if self.name is None:
            title = f"no input is named in which '{self.attention}' is to be differentiated"
        return Diagnostic(self.code, title, (), f"it has {', '.join(self.known) or 'none'}", helps)


@dataclass(frozen=True)
class AttentionTwice(PlacedMistake):
    code: ClassVar[str] = "duplicate-name"
    name: str
    first: Span

    def diagnostic(self) -> Diagnostic:
        return self.say(f"two attentions are called '{self.name}'", "again here", Label(self.first, "first here"))


@dataclass(frozen=True)
class DefinedTwice(PlacedMistake):
    code: ClassVar[str] = "duplicate-name"
    name: str
    first: Span

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.name}' is defined twice", "again here", Label(self.first, "first here"))


@dataclass(frozen=True)
class OutsideAttention(Mistake):
    code: ClassVar[str] = "outside-attention"
    name: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' only means something inside a decorated attention"
        return Diagnostic(self.code, title)
