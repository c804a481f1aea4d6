"""Mistakes in how a spec is written: one frozen dataclass each, in the user's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .diagnostic import Diagnostic, Label, PlacedMistake
from .source import Span


@dataclass(frozen=True)
class SyntaxMistake(PlacedMistake):
    """What cannot be parsed."""


@dataclass(frozen=True)
class UnreadableText(SyntaxMistake):
    """Bytes that are not UTF-8, control characters, what turns the direction of the text."""

    code: ClassVar[str] = "unreadable-text"
    what: str
    remedy: str

    def diagnostic(self) -> Diagnostic:
        return self.say(f"{self.what} cannot stand in a spec", helps=(self.remedy,))


@dataclass(frozen=True)
class TooLarge(SyntaxMistake):
    code: ClassVar[str] = "too-large"
    what: str
    limit: str
    remedy: str

    def diagnostic(self) -> Diagnostic:
        start = Span(self.span.source, self.span.start, min(self.span.end, self.span.start + 20))
        return Diagnostic(self.code, self.what, (Label(start, f"the most is {self.limit}"),), None, (self.remedy,))


@dataclass(frozen=True)
class EmptyFile(SyntaxMistake):
    code: ClassVar[str] = "empty-file"

    def diagnostic(self) -> Diagnostic:
        return self.say("there is no attention and no definition here", helps=("begin with 'attention NAME'",))


@dataclass(frozen=True)
class NumberTooLarge(SyntaxMistake):
    code: ClassVar[str] = "number-too-large"
    type: str

    def diagnostic(self) -> Diagnostic:
        fact = "an int has 64 bits: at most 9223372036854775807" if self.type == "int" else "a float is at most 1.8e308"
        return self.say("this number is too large", note=fact)


@dataclass(frozen=True)
class BadNumber(SyntaxMistake):
    code: ClassVar[str] = "bad-number"
    reason: str
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.span.text}' is not a number", self.reason, helps=(self.remedy,))


@dataclass(frozen=True)
class NumberThenName(SyntaxMistake):
    code: ClassVar[str] = "number-then-name"
    number: str
    name: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.number}{self.name}' is neither a number nor a name"
        return self.say(title, helps=(f"to multiply, write '{self.number} * {self.name}'",))


@dataclass(frozen=True)
class StrayCharacter(SyntaxMistake):
    code: ClassVar[str] = "stray-character"
    character: str
    name: str
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.character}' has no meaning here", self.name, helps=(self.remedy,))


@dataclass(frozen=True)
class LetterInName(SyntaxMistake):
    code: ClassVar[str] = "letter-in-name"
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        fact = "a name is made of the letters a to z and A to Z, digits and '_'"
        return self.say(f"the letter '{self.span.text}' cannot stand in a name", note=fact, helps=(self.remedy,))


@dataclass(frozen=True)
class UnterminatedString(SyntaxMistake):
    code: ClassVar[str] = "unterminated-string"
    quote: str

    def diagnostic(self) -> Diagnostic:
        where = "in this file" if len(self.quote) == 3 else "on this line"
        kind = "docstring" if len(self.quote) == 3 else "string"
        return self.say(f"this {kind} is never closed", f"no {self.quote} follows {where}")


@dataclass(frozen=True)
class BadEscape(SyntaxMistake):
    code: ClassVar[str] = "bad-escape"

    def diagnostic(self) -> Diagnostic:
        return self.say("a string has no escapes", "'\\' cannot stand in a string")


@dataclass(frozen=True)
class ForeignSign(SyntaxMistake):
    code: ClassVar[str] = "foreign-sign"
    remedy: str

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.span.text}' is not a sign of this language", helps=(self.remedy,))


@dataclass(frozen=True)
class UnclosedBracket(SyntaxMistake):
    code: ClassVar[str] = "unclosed-bracket"

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.span.text}' is never closed")


@dataclass(frozen=True)
class MismatchedBracket(SyntaxMistake):
    code: ClassVar[str] = "mismatched-bracket"
    closer: Span

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.span.text}' is closed by '{self.closer.text}'"
        return self.say(title, "opened here", Label(self.closer, "closed here"))


@dataclass(frozen=True)
class UnopenedBracket(SyntaxMistake):
    code: ClassVar[str] = "unopened-bracket"

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.span.text}' closes nothing")


@dataclass(frozen=True)
class SwallowedClause(SyntaxMistake):
    """The span is what dangles; `word` is the clause word that was taken for a name."""

    code: ClassVar[str] = "swallowed-clause"
    word: Span

    def diagnostic(self) -> Diagnostic:
        label = Label(self.word, f"so '{self.word.text}' was read as a name, not as the next clause")
        return self.say(f"nothing follows '{self.span.text}'", "something is missing after this", label)


@dataclass(frozen=True)
class CalledClause(SyntaxMistake):
    code: ClassVar[str] = "called-clause"

    def diagnostic(self) -> Diagnostic:
        word = self.span.text
        fact = f"'{word}' begins a clause: either the expression before it is unfinished, or this needs another name"
        return self.say(f"'{word}' cannot be called inside an expression", note=fact)


@dataclass(frozen=True)
class MissingExpression(SyntaxMistake):
    """The span is what stands before the gap, or the empty brackets."""

    code: ClassVar[str] = "missing-expression"
    next: Label | None = None
    what: str = "an expression"

    def diagnostic(self) -> Diagnostic:
        where = "between these brackets" if self.span.text[0] in "([" else f"after '{self.span.text}'"
        return self.say(f"{self.what} is missing {where}", "", self.next)


@dataclass(frozen=True)
class MissingName(SyntaxMistake):
    code: ClassVar[str] = "missing-name"
    what: str
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        return self.say(f"{self.what} has no name", helps=(self.remedy,))


@dataclass(frozen=True)
class MissingElse(SyntaxMistake):
    code: ClassVar[str] = "missing-else"

    def diagnostic(self) -> Diagnostic:
        return self.say("this 'if' has no 'else'", helps=("write 'value if condition else other'",))


@dataclass(frozen=True)
class MissingOperator(SyntaxMistake):
    code: ClassVar[str] = "missing-operator"
    before: Span
    what: str

    def diagnostic(self) -> Diagnostic:
        title = f"nothing stands between '{self.before.text}' and '{self.span.text}'"
        return self.say(title, f"{self.what} is missing before this", Label(self.before))


@dataclass(frozen=True)
class UnnamedValue(SyntaxMistake):
    """A `let`, `score`, `normalize` or `aggregate` clause, an output or a binding without its `name =`."""

    code: ClassVar[str] = "unnamed-value"
    example: str

    def diagnostic(self) -> Diagnostic:
        return self.say("a value needs a name and '='", helps=(f"write '{self.example}'",))


@dataclass(frozen=True)
class ExtraValue(SyntaxMistake):
    code: ClassVar[str] = "extra-value"
    word: str
    remedy: str

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.word}' takes one expression", "another one begins here", helps=(self.remedy,))


@dataclass(frozen=True)
class Unexpected(SyntaxMistake):
    """Anything without a message of its own."""

    code: ClassVar[str] = "unexpected"
    found: str
    expected: str | None = None
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        label = f"expected {self.expected}" if self.expected else ""
        return self.say(f"{self.found} cannot stand here", label, helps=(self.remedy,))


@dataclass(frozen=True)
class AssignmentInExpression(SyntaxMistake):
    code: ClassVar[str] = "assignment-in-expression"

    def diagnostic(self) -> Diagnostic:
        helps = ("to compare, write '=='", "to name a value, give it a clause of its own: 'let name = …'")
        return self.say("'=' inside an expression", helps=helps)


@dataclass(frozen=True)
class OddTarget(SyntaxMistake):
    code: ClassVar[str] = "odd-target"
    what: str
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        title = f"only a name, or a name with indices, can stand {self.what}"
        return self.say(title, "this is neither", helps=(self.remedy,))


@dataclass(frozen=True)
class UnknownClause(SyntaxMistake):
    code: ClassVar[str] = "unknown-clause"
    known: tuple[str, ...]
    remedy: str | None

    def diagnostic(self) -> Diagnostic:
        note = None if self.remedy else f"what may stand here: {', '.join(self.known)}"
        return self.say(f"no clause begins with '{self.span.text}'", note=note, helps=(self.remedy,))


@dataclass(frozen=True)
class ClauseOutside(SyntaxMistake):
    code: ClassVar[str] = "clause-outside"

    def diagnostic(self) -> Diagnostic:
        title = f"this '{self.span.text}' clause belongs to no attention"
        return self.say(title, helps=("put 'attention NAME' before it",))


@dataclass(frozen=True)
class MisplacedDocstring(SyntaxMistake):
    code: ClassVar[str] = "misplaced-docstring"

    def diagnostic(self) -> Diagnostic:
        fact = "a docstring stands right before its 'attention' or 'define', one for each"
        return self.say("this docstring belongs to nothing", note=fact)


@dataclass(frozen=True)
class ReservedWord(SyntaxMistake):
    code: ClassVar[str] = "reserved-word"
    owner: str

    def diagnostic(self) -> Diagnostic:
        word = self.span.text
        helps = (f"another name, such as '{word}_'",)
        return self.say(f"'{word}' is a word of {self.owner} and cannot be a name", helps=helps)


@dataclass(frozen=True)
class WhereNotation(SyntaxMistake):
    code: ClassVar[str] = "where-notation"

    def diagnostic(self) -> Diagnostic:
        return self.say("a condition follows ':', not 'where'", helps=("write 'sum[j: condition](…)'",))


@dataclass(frozen=True)
class MisplacedNot(SyntaxMistake):
    code: ClassVar[str] = "misplaced-not"
    operator: str

    def diagnostic(self) -> Diagnostic:
        title = f"'not' binds looser than '{self.operator}'"
        return self.say(title, helps=(f"put brackets around it: '{self.operator} (not …)'",))


@dataclass(frozen=True)
class NotAName(SyntaxMistake):
    code: ClassVar[str] = "not-a-name"
    verb: str

    def diagnostic(self) -> Diagnostic:
        return self.say(f"only a name can be {self.verb}", helps=("name the value first: 'let name = …'",))


@dataclass(frozen=True)
class WrongBracket(SyntaxMistake):
    """Entries, arguments or formals that do not fit the brackets that they stand in."""

    code: ClassVar[str] = "wrong-bracket"
    rule: str
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        return self.say(self.rule, "not here", helps=(self.remedy,))


@dataclass(frozen=True)
class UnknownType(SyntaxMistake):
    code: ClassVar[str] = "unknown-type"
    known: str
    remedy: str | None = None

    def diagnostic(self) -> Diagnostic:
        return self.say(f"'{self.span.text}' is not a type", f"expected {self.known}", helps=(self.remedy,))


@dataclass(frozen=True)
class WrongDefault(SyntaxMistake):
    code: ClassVar[str] = "wrong-default"
    name: str
    expected: str

    def diagnostic(self) -> Diagnostic:
        return self.say(f"the default of '{self.name}' must be {self.expected}")


@dataclass(frozen=True)
class PositionalAfterKeyword(SyntaxMistake):
    code: ClassVar[str] = "positional-after-keyword"
    keyword: Span

    def diagnostic(self) -> Diagnostic:
        label = Label(self.keyword, "this one has a name")
        return self.say("an argument without a name follows one with a name", "put it before", label)


@dataclass(frozen=True)
class RepeatedName(SyntaxMistake):
    code: ClassVar[str] = "repeated-name"
    what: str
    first: Span

    def diagnostic(self) -> Diagnostic:
        name = self.span.text.strip("\"'")
        return self.say(f"two {self.what} are called '{name}'", "again here", Label(self.first, "first here"))
