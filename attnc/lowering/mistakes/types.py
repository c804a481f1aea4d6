"""Mistakes in element types and operands: what is not the kind of value that its place needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...diagnostics import Diagnostic, Label, PlacedMistake
from .spelling import spelled


def a_type(type: str) -> str:
    """How a message names an element type."""
    return {"float": "a float", "int": "an integer", "bool": "a condition"}[type]


@dataclass(frozen=True)
class WrongType(PlacedMistake):
    code: ClassVar[str] = "wrong-type"
    wanted: str
    found: str
    where: str
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        title = f"{self.where} must be {self.wanted}, not {self.found}"
        return self.say(title, f"this is {self.found}", helps=self.helps)


@dataclass(frozen=True)
class DivisionByZero(PlacedMistake):
    code: ClassVar[str] = "division-by-zero"

    def diagnostic(self) -> Diagnostic:
        return self.say("this divides by zero", "always 0")


@dataclass(frozen=True)
class NumberTooLarge(PlacedMistake):
    """An integer that is computed from constants and fits no 64 bits."""

    code: ClassVar[str] = "number-too-large"

    def diagnostic(self) -> Diagnostic:
        fact = "an int has 64 bits: at most 9223372036854775807"
        helps = ("floats reach further: write '2.0', not '2'",)
        return self.say("this number is too large", "does not fit", note=fact, helps=helps)


@dataclass(frozen=True)
class WrongMembership(PlacedMistake):
    """`operator` is `in` or `not in`; the span is the side that is wrong."""

    code: ClassVar[str] = "wrong-membership"
    operator: str
    side: str
    found: str

    def diagnostic(self) -> Diagnostic:
        wanted = "one value" if self.side == "left" else "a vector or a tuple"
        title = f"'{self.operator}' needs {wanted} on its {self.side}"
        help = "list the values: 'x in (0, 1)'" if self.side == "right" else None
        return self.say(title, f"this is {self.found}", helps=(help,))


@dataclass(frozen=True)
class StrayJoin(PlacedMistake):
    code: ClassVar[str] = "stray-join"

    def diagnostic(self) -> Diagnostic:
        helps = (
            "join values over an axis 'u: j | c' with 'join[u](x, y)'",
            "or write 'or' between conditions",
        )
        return self.say("'|' joins axes, not values", "not here", helps=helps)


@dataclass(frozen=True)
class MaskNotBoolean(PlacedMistake):
    code: ClassVar[str] = "mask-not-boolean"
    found: str

    def diagnostic(self) -> Diagnostic:
        fact = "a mask says which index tuples exist; it adds nothing to a score"
        helps = (
            f"compare it: '{spelled(self.span, 'mask', f'{self.span.brief()} > 0')}'",
            "to add to the score, write it in the score clause",
        )
        return self.say("a mask must be a condition", f"this is {self.found}", note=fact, helps=helps)


@dataclass(frozen=True)
class OneCondition(PlacedMistake):
    """A vector of conditions where one is needed."""

    code: ClassVar[str] = "vector-condition"
    where: str
    size: str

    def diagnostic(self) -> Diagnostic:
        title = f"{self.where} must be one condition, not a vector of them"
        text = self.span.brief()
        helps = (f"reduce it: 'all({text})' or 'any({text})'",)
        return self.say(title, f"this has {self.size} conditions", helps=helps)


@dataclass(frozen=True)
class MaskNever(PlacedMistake):
    """A mask that leaves nothing: alone, or with those above it (`above`), or with what is required (`required`)."""

    code: ClassVar[str] = "mask-never"
    above: Label | None = None
    required: Label | None = None

    def diagnostic(self) -> Diagnostic:
        if self.required is not None:
            title = "this mask removes every index tuple that what is required leaves"
            return self.say(title, "never true together", self.required)
        if self.above is None:
            return self.say("this mask removes every index tuple", "this is never true")
        return self.say("the masks down to here remove every index tuple", "never true together", self.above)


@dataclass(frozen=True)
class OpenRequirement(PlacedMistake):
    code: ClassVar[str] = "open-requirement"
    axes: tuple[str, ...]

    def diagnostic(self) -> Diagnostic:
        free = ", ".join(self.axes)
        title = f"this requirement depends on '{free}', but a call has many of them"
        every = f"all[{free}]({self.span.brief()})"
        helps = (f"say for which: '{spelled(self.span, 'require', every)}'",)
        return self.say(title, f"depends on '{free}'", helps=helps)


@dataclass(frozen=True)
class NeverTrue(PlacedMistake):
    code: ClassVar[str] = "never-true"

    def diagnostic(self) -> Diagnostic:
        return self.say("this requirement can never hold", "this is never true")
