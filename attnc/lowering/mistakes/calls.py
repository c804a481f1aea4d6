"""Mistakes in calls of functions, reductions and definitions: arguments, brackets, definitions without an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...diagnostics import Diagnostic, Label, PlacedMistake, Span
from .names import mean


def plural(count: int, noun: str) -> str:
    """`2 values`, `1 value`, `no value`."""
    return f"{count or 'no'} {noun}{'s' if count > 1 else ''}"


@dataclass(frozen=True)
class MissingArgument(PlacedMistake):
    """The span is the called name; `form` is how it is called."""

    code: ClassVar[str] = "wrong-arguments"
    name: str
    missing: tuple[str, ...]
    form: str
    declared: Span | None = None

    def diagnostic(self) -> Diagnostic:
        names = " and ".join(f"'{name}'" for name in self.missing)
        other = Label(self.declared, "defined here") if self.declared is not None else None
        helps = (f"write '{self.form}'",)
        return self.say(f"'{self.name}' needs {names} too", f"{names} is missing", other, helps=helps)


@dataclass(frozen=True)
class ExtraArgument(PlacedMistake):
    """The span is the first argument that is too much."""

    code: ClassVar[str] = "wrong-arguments"
    name: str
    wanted: str
    found: int
    form: str | None = None

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' takes {self.wanted}, but {self.found} are given"
        return self.say(title, "one too many", helps=(f"write '{self.form}'" if self.form else None,))


@dataclass(frozen=True)
class UnknownArgument(PlacedMistake):
    code: ClassVar[str] = "wrong-arguments"
    name: str
    keyword: str
    known: tuple[str, ...]
    near: str | None = None

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' has no argument '{self.keyword}'"
        if not self.known:
            return self.say(title, "not known", helps=("leave the keyword out",))
        return self.say(title, "not known", note=f"it takes {', '.join(self.known)}", helps=(mean(self.near),))


@dataclass(frozen=True)
class ArgumentTwice(PlacedMistake):
    code: ClassVar[str] = "wrong-arguments"
    name: str
    keyword: str
    first: Span

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' gets '{self.keyword}' twice"
        return self.say(title, f"'{self.keyword}' again", Label(self.first, f"this is '{self.keyword}' already"))


@dataclass(frozen=True)
class WrongBracketCount(PlacedMistake):
    """The span is the bracket."""

    code: ClassVar[str] = "wrong-arguments"
    name: str
    wanted: str
    found: int
    form: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' takes {self.wanted} in its bracket, not {self.found}"
        return self.say(title, "not these", helps=(f"write '{self.form}'",))


@dataclass(frozen=True)
class NotJoined(PlacedMistake):
    code: ClassVar[str] = "wrong-arguments"
    index: str

    def diagnostic(self) -> Diagnostic:
        title = "'join' runs over an index of a joined axis"
        label = f"'{self.index}' is not one"
        return self.say(title, label, helps=("declare one: 'axis u: j | c'",))


@dataclass(frozen=True)
class NeedsBracket(PlacedMistake):
    """Something that must be told over what it runs; the span is its name, or the argument without a vector."""

    code: ClassVar[str] = "needs-bracket"
    name: str
    form: str
    over_vector: bool = False

    def diagnostic(self) -> Diagnostic:
        helps = (f"say over what: '{self.form}'",)
        if self.over_vector:
            title = f"'{self.name}' without a bracket runs over a vector's axis"
            return self.say(title, "this has no trailing axis", helps=helps)
        return self.say(f"'{self.name}' needs a bracket that says over what it runs", "no bracket here", helps=helps)


@dataclass(frozen=True)
class StrayBracket(PlacedMistake):
    code: ClassVar[str] = "stray-bracket"
    name: str
    is_definition: bool = False

    def diagnostic(self) -> Diagnostic:
        what = "is defined without a bracket" if self.is_definition else "works on single values and takes no bracket"
        return self.say(f"'{self.name}' {what}", "not here", helps=(f"leave it out: '{self.name}(…)'",))


@dataclass(frozen=True)
class RootWithoutBounds(PlacedMistake):
    code: ClassVar[str] = "root-without-bounds"

    def diagnostic(self) -> Diagnostic:
        title = "'root' needs one unknown and its bounds"
        return self.say(title, "no bounds here", helps=("write 'root[t: low <= t <= high](f)'",))


@dataclass(frozen=True)
class RootWithoutUnknown(PlacedMistake):
    code: ClassVar[str] = "root-without-unknown"
    name: str

    def diagnostic(self) -> Diagnostic:
        title = f"'root' is solved for '{self.name}', which this does not depend on"
        return self.say(title, f"'{self.name}' does not occur here")


@dataclass(frozen=True)
class RootInRoot(PlacedMistake):
    code: ClassVar[str] = "root-in-root"

    def diagnostic(self) -> Diagnostic:
        title = "a 'root' that reads the unknown of another one around it"
        return self.say(title, "this holds such a root", helps=("solve both in one equation",))


@dataclass(frozen=True)
class RecursiveDefinition(PlacedMistake):
    """`shadowed`: the definition took the name of one of the prelude's, perhaps meaning to use it."""

    code: ClassVar[str] = "recursive-definition"
    name: str
    through: tuple[str, ...] = ()
    shadowed: bool = False

    def diagnostic(self) -> Diagnostic:
        way = f" through {' and '.join(repr(name) for name in self.through)}" if self.through else ""
        title = f"the definition '{self.name}' calls itself{way}"
        label = "leads back to it" if self.through else "calls itself here"
        if not self.shadowed:
            return self.say(title, label)
        fact = f"a definition '{self.name}' takes the place of the prelude's, inside itself too"
        return self.say(title, label, note=fact, helps=(f"give it another name: 'define my_{self.name}…'",))


@dataclass(frozen=True)
class SpecTooLarge(PlacedMistake):
    code: ClassVar[str] = "spec-too-large"
    what: str
    limit: str = ""

    def diagnostic(self) -> Diagnostic:
        return self.say(self.what, f"the most is {self.limit}" if self.limit else "too deep to be checked")
