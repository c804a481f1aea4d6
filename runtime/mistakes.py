"""What can be wrong in a call: one class for each kind of mistake, in terms of the spec's clauses."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.diagnostics import Diagnostic, Mistake


@dataclass(frozen=True)
class WrongCall(Mistake):
    """A mistake in a call told by one sentence."""

    kind: str
    title: str
    note: str | None = None
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(self.kind, self.title, (), self.note, self.helps)


@dataclass(frozen=True)
class WrongTensor(Mistake):
    """An input of the wrong rank, size, dtype or device; `clause` is how the spec declares it."""

    kind: str
    attention: str
    name: str
    problem: str
    clause: str
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        title = f"{self.attention}: '{self.name}' {self.problem}"
        return Diagnostic(self.kind, title, (), f"it is declared as '{self.clause}'", self.helps)


@dataclass(frozen=True)
class SizesDiffer(Mistake):
    """Two inputs tell different values of one size."""

    attention: str
    size: str
    first: str
    first_value: int
    second: str
    second_value: int
    helps: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        title = (
            f"{self.attention}: '{self.size}' is {self.first_value} in '{self.first}' "
            f"but {self.second_value} in '{self.second}'"
        )
        return Diagnostic("sizes-differ", title, (), None, self.helps)


@dataclass(frozen=True)
class RequirementFails(Mistake):
    """A `require` that does not hold for this call."""

    attention: str
    text: str
    values: tuple[tuple[str, object], ...]

    def diagnostic(self) -> Diagnostic:
        known = ", ".join(f"{name} = {value}" for name, value in self.values)
        title = f"{self.attention}: this call breaks 'require {self.text}'"
        return Diagnostic("requirement-fails", title, (), f"here {known}" if known else None)
