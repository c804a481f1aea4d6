"""Mistakes that only a decorated Python function can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from attnc.diagnostics import Diagnostic, Mistake
from attnc.diagnostics.syntax import SyntaxMistake


@dataclass(frozen=True)
class NoSource(Mistake):
    code: ClassVar[str] = "no-source"
    name: str
    reason: str
    remedy: str = "write the function in a file, or give the text to 'attnc.loads'"

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(self.code, f"'{self.name}' cannot be read: {self.reason}", helps=(self.remedy,))


@dataclass(frozen=True)
class PythonConstruct(SyntaxMistake):
    """Something of Python that a spec does not have; `what` begins with its article."""

    code: ClassVar[str] = "python-construct"
    what: str
    remedy: str | None = None
    place: str = "a decorated function"

    def diagnostic(self) -> Diagnostic:
        return self.say(f"{self.what} cannot stand in {self.place}", helps=(self.remedy,))


@dataclass(frozen=True)
class PythonParameter(SyntaxMistake):
    code: ClassVar[str] = "python-parameter"
    name: str
    reason: str
    remedies: tuple[str, ...] = ()

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.name}' {self.reason}", helps=self.remedies)


@dataclass(frozen=True)
class PythonResult(SyntaxMistake):
    code: ClassVar[str] = "python-result"

    def diagnostic(self) -> Diagnostic:
        helps = ("assign it to a name before, and return that name",)
        return self.say("only the first of several results can be an expression", "this one has no name", helps=helps)


@dataclass(frozen=True)
class MissingReturn(SyntaxMistake):
    code: ClassVar[str] = "missing-return"

    def diagnostic(self) -> Diagnostic:
        return self.say(f"the definition '{self.span.text}' returns nothing", helps=("end it with 'return …'",))
