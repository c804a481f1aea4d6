"""Diagnostic -> text: title, place, the lines concerned with carets, note and helps."""

from __future__ import annotations

from .diagnostic import Diagnostic, Label
from .source import NOWHERE, Source

_WIDEST_LINE = 160


def render(diagnostic: Diagnostic) -> str:
    """The one layout of a mistake; plain text, no colour."""
    labels = tuple(label for label in diagnostic.labels if label.span.source != NOWHERE.source)
    out = [f"error[{diagnostic.code}]: {diagnostic.title}"]
    if labels:
        out += _places(labels)
    margin = " " * _gutter(labels)
    tail = ([f"note: {diagnostic.note}"] if diagnostic.note else []) + [f"help: {h}" for h in diagnostic.helps]
    if tail and labels:
        out.append(f"{margin} |")
    for text in tail:
        first, *rest = text.split("\n")
        out.append(f"{margin} = {first}")
        out += [f"{margin}   {line}" for line in rest]
    return "\n".join(out)


def _gutter(labels: tuple[Label, ...]) -> int:
    if not labels:
        return 1
    return max(len(str(_shown_line(label))) for label in labels)


def _shown_line(label: Label) -> int:
    source = label.span.source
    return source.first_line + source.position(label.span.start)[0]


def _places(labels: tuple[Label, ...]) -> list[str]:
    """The text of the mistake first, then other texts that labels point into."""
    margin = " " * _gutter(labels)
    out: list[str] = []
    for source in dict.fromkeys(label.span.source for label in labels):
        here = [label for label in labels if label.span.source == source]
        line, column = source.position(here[0].span.start)
        arrow = ":::" if out else "-->"
        out.append(f"{margin}{arrow} {source.name}:{source.first_line + line}:{column + source.indent + 1}")
        out.append(f"{margin} |")
        out += _lines(source, here, labels[0], len(margin))
    return out


def _lines(source: Source, labels: list[Label], primary: Label, gutter: int) -> list[str]:
    by_line: dict[int, list[Label]] = {}
    for label in labels:
        by_line.setdefault(source.position(label.span.start)[0], []).append(label)
    out: list[str] = []
    previous: int | None = None
    for number in sorted(by_line):
        if previous is not None and number > previous + 1:
            out.append("...")
        previous = number
        text = source.line(number).replace("\t", " ")
        cut = _first_column(source, by_line[number], len(text))
        shown = text[cut : cut + _WIDEST_LINE]
        out.append(f"{source.first_line + number:>{gutter}} | {'…' if cut else ''}{shown}".rstrip())
        for label in sorted(by_line[number], key=lambda one: (one is not primary, one.span.start)):
            out.append(f"{' ' * gutter} | {_underline(source, label, label is primary, cut)}")
    return out


def _first_column(source: Source, labels: list[Label], length: int) -> int:
    """Very long lines are shown from a little before the first label."""
    column = min(source.position(label.span.start)[1] for label in labels)
    return 0 if length <= _WIDEST_LINE else max(0, column - 40)


def _underline(source: Source, label: Label, is_primary: bool, cut: int) -> str:
    line, column = source.position(label.span.start)
    end_line, end_column = source.position(label.span.end)
    width = (end_column if end_line == line else len(source.line(line))) - column
    mark = ("^" if is_primary else "-") * max(1, min(width, _WIDEST_LINE))
    lead = " " * (column - cut + (1 if cut else 0))
    return f"{lead}{mark} {label.text}".rstrip()
