"""Where a mistake is: a piece of a named text.

A span is a half-open range of character offsets, so it survives any layout of the text around it.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """A text and the name that messages give it (`first_line` is the number shown for its first line)."""

    name: str
    text: str
    first_line: int = 1
    indent: int = 0

    def position(self, offset: int) -> tuple[int, int]:
        """Line (counted from 0 in this text) and column (from 0) of a character offset."""
        before = self.text[:offset]
        line = before.count("\n")
        return line, offset - (before.rfind("\n") + 1)

    def line(self, number: int) -> str:
        lines = self.text.split("\n")
        return lines[number] if number < len(lines) else ""


@dataclass(frozen=True)
class Span:
    """`source.text[start:end]`."""

    source: Source = field(repr=False)
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The smallest span that holds both."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def brief(self, widest: int = 40) -> str:
        """The text on one line, as a part of a message; '…' where it is long."""
        text = " ".join(self.text.split())
        return text if text and len(text) <= widest else "…"

    def name(self, name: str) -> Span:
        """The name that this piece begins with, alone."""
        return Span(self.source, self.start, self.start + len(name)) if self.text.startswith(name) else self


NOWHERE = Span(Source("", ""), 0, 0)
