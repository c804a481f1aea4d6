"""Mistakes in names: unknown ones, those declared twice, and those used as what they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...diagnostics import Diagnostic, Label, PlacedMistake, Span
from .spelling import spelled


def mean(near: str | None) -> str | None:
    """The help for a misspelt name."""
    return f"did you mean '{near}'?" if near else None


@dataclass(frozen=True)
class UnknownName(PlacedMistake):
    """`near` is the closest known name, `near_span` where this attention declares it and `near_role` as what."""

    code: ClassVar[str] = "unknown-name"
    name: str
    near: str | None = None
    near_span: Span | None = None
    near_role: str = ""
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        other = None
        if self.near_span is not None:
            other = Label(self.near_span, f"'{self.near}' is {self.near_role} of this attention")
        title = f"nothing named '{self.name}' is in scope"
        return self.say(title, "not defined here", other, helps=(mean(self.near) or self.remedy,))


@dataclass(frozen=True)
class UnknownInDefinition(PlacedMistake):
    code: ClassVar[str] = "unknown-name"
    name: str
    definition: str
    near: str | None
    remedy: str | None
    is_bound_later: bool = False

    def diagnostic(self) -> Diagnostic:
        title = f"nothing named '{self.name}' is in scope in the definition '{self.definition}'"
        fact = "a definition sees its formals, its axes and its 'with' names, and nothing else"
        if self.is_bound_later:
            fact = "the names after 'with' are bound from left to right"
        return self.say(title, "not defined here", note=fact, helps=(mean(self.near) or self.remedy,))


@dataclass(frozen=True)
class UnknownFunction(PlacedMistake):
    code: ClassVar[str] = "unknown-function"
    name: str
    near: str | None
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        title = f"there is no function or definition named '{self.name}'"
        return self.say(title, "not known", helps=(self.remedy or mean(self.near),))


@dataclass(frozen=True)
class FunctionAsValue(PlacedMistake):
    code: ClassVar[str] = "function-as-value"
    name: str
    what: str
    remedy: str

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.name}' is {self.what}, not a value", "not called here", helps=(self.remedy,))


@dataclass(frozen=True)
class DuplicateName(PlacedMistake):
    code: ClassVar[str] = "duplicate-name"
    name: str
    first: Span | None
    role: str

    def diagnostic(self) -> Diagnostic:
        other = Label(self.first, f"'{self.name}' is {self.role} already") if self.first is not None else None
        return self.say(f"'{self.name}' is declared twice", "declared again", other)


@dataclass(frozen=True)
class RedefinedFunction(PlacedMistake):
    code: ClassVar[str] = "duplicate-name"
    name: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' is built in and cannot be defined again"
        return self.say(title, "built in", helps=(f"give it another name: 'define my_{self.name}(…) = …'",))


@dataclass(frozen=True)
class DuplicateClause(PlacedMistake):
    code: ClassVar[str] = "duplicate-clause"
    role: str
    first: Span

    def diagnostic(self) -> Diagnostic:
        title = f"an attention has one '{self.role}' clause at most"
        helps = (f"make one of them a let: 'let {self.span.text} = …'",)
        return self.say(title, "a second one", Label(self.first, "the first one"), helps=helps)


@dataclass(frozen=True)
class NotAnIndex(PlacedMistake):
    """`role` says what the name is instead, where it is something; `where` what needs an index."""

    code: ClassVar[str] = "not-an-index"
    name: str
    where: str
    role: str | None = None
    near: str | None = None
    over: str | None = None

    def diagnostic(self) -> Diagnostic:
        label = f"'{self.name}' is {self.role}" if self.role else "not declared"
        help = mean(self.near)
        if self.over is not None:
            help = f"write an index over it: '{self.over}'"
        elif self.near is None and self.role is None:
            help = f"declare it: '{spelled(self.span, 'axis', f'{self.name}: …')}'"
        helps = (help,)
        return self.say(f"'{self.name}' is not an index, but {self.where}", label, helps=helps)


@dataclass(frozen=True)
class NotAnAxisOfDefinition(PlacedMistake):
    code: ClassVar[str] = "not-an-index"
    name: str
    definition: str
    axes: tuple[str, ...]

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' is not an axis of the definition '{self.definition}'"
        fact = f"its axes are {', '.join(self.axes)}" if self.axes else "it is defined without a bracket"
        inner = ", ".join((*self.axes, self.name))
        return self.say(title, "a bracket binds axes of the definition only", note=fact, helps=(
            f"give it that axis: 'define {self.definition}[{inner}](…) = …'",
        ))  # fmt: skip


@dataclass(frozen=True)
class NotSubscriptable(PlacedMistake):
    """The span is the name alone."""

    code: ClassVar[str] = "not-subscriptable"
    name: str
    role: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' is one number and has no entries to read"
        return self.say(title, f"'{self.name}' is {self.role}", helps=(f"write '{self.name}' alone",))


@dataclass(frozen=True)
class FormalSubscript(PlacedMistake):
    """An axis of a definition, or a formal of it that has no such axis, read with entries."""

    code: ClassVar[str] = "not-subscriptable"
    name: str
    definition: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.name}' is an axis of the definition '{self.definition}' and has no entries to read"
        return self.say(title, "an index", helps=(f"write '{self.name}' alone",))


@dataclass(frozen=True)
class UnknownComponent(PlacedMistake):
    code: ClassVar[str] = "unknown-component"
    base: str
    name: str
    components: tuple[str, ...]
    near: str | None = None

    def diagnostic(self) -> Diagnostic:
        if self.components:
            label = f"its components are {', '.join(self.components)}"
            return self.say(f"'{self.base}' has no component '{self.name}'", label, helps=(mean(self.near),))
        helps = (f"declare one: 'axis {self.base}: {{{self.name}: …, …}}'",)
        return self.say(f"'{self.base}' has no components", "not an index over a product axis", helps=helps)


@dataclass(frozen=True)
class ModeAsValue(PlacedMistake):
    code: ClassVar[str] = "mode-as-value"
    name: str
    value: str

    def diagnostic(self) -> Diagnostic:
        title = f"the mode '{self.name}' is not a number or condition"
        return self.say(title, "a text", helps=(f"compare it: '{self.name} == \"{self.value}\"'",))


@dataclass(frozen=True)
class UnknownMode(PlacedMistake):
    code: ClassVar[str] = "unknown-mode"
    name: str
    modes: tuple[str, ...]
    declared: Span
    near: str | None = None

    def diagnostic(self) -> Diagnostic:
        modes = ", ".join(f'"{mode}"' for mode in self.modes)
        other = Label(self.declared, f"its modes are {modes}")
        title = f"'{self.name}' is never {self.span.text}"
        return self.say(title, "not one of its modes", other, helps=(mean(self.near),))


@dataclass(frozen=True)
class StrayText(PlacedMistake):
    code: ClassVar[str] = "stray-text"
    modes: tuple[tuple[str, str], ...] = ()

    def diagnostic(self) -> Diagnostic:
        if self.modes:
            helps = tuple(f"compare the mode: '{name} == \"{value}\"'" for name, value in self.modes[:1])
        else:
            helps = ('declare a mode: \'attention NAME(mode: "a" | "b")\' and compare it: \'mode == "a"\'',)
        return self.say("a text only stands beside '==' or '!=' and a mode parameter", "not here", helps=helps)


@dataclass(frozen=True)
class IndexAsSize(PlacedMistake):
    """Indices among the sizes of an input: the span is the first, `others` the rest; `shape` is with their sizes."""

    code: ClassVar[str] = "index-as-size"
    owner: str
    names: tuple[str, ...]
    others: tuple[Span, ...]
    shape: str | None

    def diagnostic(self) -> Diagnostic:
        quoted = [f"'{name}'" for name in self.names]
        names = ", ".join(quoted[:-1]) + " and " + quoted[-1] if len(quoted) > 1 else quoted[0]
        kind = "are indices" if self.others else "is an index"
        title = f"the axes of '{self.owner}' are declared by sizes, but {names} {kind}"
        others = (Label(span, "an index") for span in self.others)
        help = f"write '{spelled(self.span, 'input', self.shape)}'" if self.shape else None
        return self.say(title, "an index", *others, helps=(help,))


@dataclass(frozen=True)
class UnboundSize(PlacedMistake):
    code: ClassVar[str] = "unbound-size"
    name: str
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        title = f"nothing that is given at the call tells the size '{self.name}'"
        fact = "a size is known when an input that the spec reads has an axis of just that size"
        return self.say(title, "needed here", note=fact, helps=self.helps)


@dataclass(frozen=True)
class ReplacedSize(PlacedMistake):
    """`axis i, j: N` replaces M by N, so nothing has the size M any more."""

    code: ClassVar[str] = "unbound-size"
    name: str
    index: str
    size: str
    declared: Span

    def diagnostic(self) -> Diagnostic:
        title = f"there is no size '{self.name}': '{self.index}' runs over '{self.size}' in this attention"
        other = Label(self.declared, f"this puts '{self.size}' in the place of '{self.name}'")
        helps = (f"write '{self.size}'", "or give a size of your own another name")
        return self.say(title, "not a size here", other, helps=helps)
