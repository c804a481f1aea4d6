"""Where a spec says what a call contradicts: the spans that messages about calls show.

A card holds no spans, since it outlives the text that it was made of; they are looked up when a mistake is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attnc.card import Card
from attnc.diagnostics import Span
from attnc.grammar import tree


def place_of_input(card: Card, name: str) -> Span | None:
    """The whole item of an input clause; None for a default input."""
    item = _input(card, name)
    return item.span if item is not None else None


def place_of_size(card: Card, name: str, axis: int) -> Span | None:
    """One size in the brackets of an input."""
    item = _input(card, name)
    return item.sizes[axis].span if item is not None else None


def place_of_parameter(card: Card, name: str) -> Span | None:
    parameters = card.tree().parameters if card.tree is not None else ()
    return next((parameter.span for parameter in parameters if parameter.name == name), None)


def place_of_requirement(card: Card, text: str) -> Span | None:
    clauses = (clause for clause in _clauses(card) if isinstance(clause, tree.Require))
    conditions = (condition.span for clause in clauses for condition in clause.conditions)
    return _with_text(conditions, text)


def place_of_division(card: Card, text: str) -> Span | None:
    """A division among the sizes of inputs and axes."""
    clauses = (clause for clause in _clauses(card) if isinstance(clause, (tree.Input, tree.Axis)))
    divisions = (found.span for clause in clauses for found in _divisions(clause))
    return _with_text(divisions, text)


def _with_text(spans: Iterable[Span], text: str) -> Span | None:
    """The first span of this text, however it is spaced."""
    return next((span for span in spans if "".join(span.text.split()) == "".join(text.split())), None)


def _input(card: Card, name: str) -> tree.InputItem | None:
    clauses = (clause for clause in _clauses(card) if isinstance(clause, tree.Input))
    return next((item for clause in clauses for item in clause.items if item.name == name), None)


def _clauses(card: Card) -> tuple[tree.Clause, ...]:
    return card.tree().clauses if card.tree is not None else ()


def _divisions(value: object) -> Iterator[tree.Binary]:
    if isinstance(value, tree.Binary) and value.operator == "//":
        yield value
    if isinstance(value, tuple):
        for part in value:
            yield from _divisions(part)
    elif isinstance(value, tree.Node):
        for field in value.__dataclass_fields__:
            yield from _divisions(getattr(value, field))
