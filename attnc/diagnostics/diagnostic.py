"""What every mistake becomes: frozen data, and the one exception that carries it to the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .source import Span


@dataclass(frozen=True)
class Label:
    """A span and what is to be said of it; the primary one is drawn with `^`, others with `-`."""

    span: Span
    text: str = ""


@dataclass(frozen=True)
class Diagnostic:
    """One mistake: a code, a title, where (first label: the mistake itself), a fact, and what to type."""

    code: str
    title: str
    labels: tuple[Label, ...] = ()
    note: str | None = None
    helps: tuple[str, ...] = ()


class Mistake:
    """A kind of mistake: a frozen dataclass of the user's words that knows how to describe itself."""

    code: ClassVar[str] = ""

    def diagnostic(self) -> Diagnostic:
        raise AssertionError(f"{type(self).__name__} describes nothing")

    def error(self) -> AttnError:
        return AttnError([self.diagnostic()])


@dataclass(frozen=True)
class PlacedMistake(Mistake):
    """A mistake in a text: what all of them have is the smallest span that is wrong."""

    span: Span

    def say(
        self,
        title: str,
        label: str = "",
        *others: Label | None,
        note: str | None = None,
        helps: tuple[str | None, ...] = (),
    ) -> Diagnostic:
        """The diagnostic with this label at the span; labels and helps that are None are left out."""
        labels = (Label(self.span, label), *(other for other in others if other is not None))
        return Diagnostic(self.code, title, labels, note, tuple(text for text in helps if text is not None))


class AttnError(Exception):
    """Every mistake in a spec or a call; `diagnostics` holds all that were found together."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.render())

    def __reduce__(self) -> tuple[type[AttnError], tuple[tuple[Diagnostic, ...]]]:
        return AttnError, (self.diagnostics,)

    @property
    def code(self) -> str:
        return self.diagnostics[0].code

    def render(self) -> str:
        from .render import render

        return "\n\n".join(render(diagnostic) for diagnostic in self.diagnostics)

    def __str__(self) -> str:
        return self.render()


class Findings:
    """Collects the independent mistakes of a stage, so that they are reported together."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def add(self, mistake: Mistake) -> None:
        diagnostic = mistake.diagnostic()
        if diagnostic not in self.found:
            self.found.append(diagnostic)

    def absorb(self, error: AttnError) -> None:
        self.found.extend(d for d in error.diagnostics if d not in self.found)

    def raise_if_any(self) -> None:
        if self.found:
            raise AttnError(self.found)
