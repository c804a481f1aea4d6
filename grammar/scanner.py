"""Text -> tokens, comments and brackets in one pass over it, with every limit checked.

A mistake of the text itself does not stop the scan's caller: it ends the tokens, so that whatever is wrong before it
can be told first. Words that may begin a clause are left as names; the parser turns those into keywords that can be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from attnc.diagnostics import Source, Span
from attnc.diagnostics.syntax import (
    BadEscape,
    BadNumber,
    ForeignSign,
    MismatchedBracket,
    NumberThenName,
    SyntaxMistake,
    TooLarge,
    UnclosedBracket,
    UnopenedBracket,
    UnterminatedString,
)

from .characters import SIGNS, mistake_in
from .limits import DEEPEST_BRACKETS, LONGEST_NAME, MOST_TOKENS
from .tree import Comment
from .words import PYTHON_WORDS, RESERVED

END = "$END"
WRONG = "WRONG"
PYTHON_WORD = "PYTHON_WORD"

_DIGITS = r"[0-9](?:_?[0-9])*"
_EXPONENT = rf"(?:[eE][+-]?{_DIGITS})"
NUMBER = rf"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:{_DIGITS})?\.{_DIGITS}{_EXPONENT}?|" + (
    rf"{_DIGITS}\.?{_EXPONENT}?"
)
_TOKEN = re.compile(
    rf"""(?P<skip>[ \t\n]+|\\\n)
    |(?P<comment>\#[^\n]*)
    |(?P<doc>\"\"\"|''')
    |(?P<string>"[^"\n]*"|'[^'\n]*')
    |(?P<quote>["'])
    |(?P<number>{NUMBER})
    |(?P<word>[A-Za-z_][A-Za-z_0-9]*)
    |(?P<foreign>&&|\|\||===|!==|<>|=>|=<|:=|->|;|~|\.\.\.|!(?!=)|(?:\*\*|//|<<|>>|[-+*/%@&|^])=)
    |(?P<sign>\*\*|//|<<|>>|[<>=!]=|[-+*/%@&|^<>=,:.()\[\]{{}}])
    """,
    re.VERBOSE,
)
_END_OF_DOC = {quote: re.compile(rf"\\.|{quote}", re.DOTALL) for quote in ('"""', "'''")}
_TERMINALS = {
    "+": "SIGN",
    "-": "SIGN",
    "|": "VBAR",
    "=": "EQUAL",
    ",": "COMMA",
    ":": "COLON",
    ".": "DOT",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    "{": "LBRACE",
    "}": "RBRACE",
}
_LETTERS = re.compile(r"\w*")
_CLOSER = {"(": ")", "[": "]", "{": "}"}


class Token:
    """One word, sign, number or string; `type` is the grammar's terminal."""

    __slots__ = ("span", "text", "type")

    def __init__(self, type: str, text: str, span: Span) -> None:
        self.type, self.text, self.span = type, text, span


@dataclass
class Scan:
    """What one pass found. `bracket` is the first wrong bracket with the number of the token that it stands at."""

    tokens: list[Token] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    wrong: SyntaxMistake | None = None
    bracket: tuple[SyntaxMistake, int] | None = None


def scan(source: Source, start: int = 0, end: int | None = None) -> Scan:
    """The tokens of `source.text[start:end]`, the last of type END or WRONG; raises only for a limit."""
    return _Scanner(source, start, len(source.text) if end is None else end).run()


def _letters_after(number: str, name: str, span: Span) -> SyntaxMistake:
    """What is wrong with a number that `name` follows at once."""
    if number == "0" and name[0] in "xXbBoO":
        return BadNumber(span, "not the digits of such a number")
    if name in ("e", "E"):
        return BadNumber(span, f"digits must follow '{name}'", f"to multiply, write '{number} * {name}'")
    if name[0] == "_" or not name.isascii():
        return BadNumber(span, "a digit must follow '_'" if name[0] == "_" else "")
    return NumberThenName(span, number, name)


def is_docstring(text: str) -> bool:
    """Whether a text that begins with triple quotes is one whole docstring."""
    quote = text[:3]
    end = next((match.end() for match in _END_OF_DOC[quote].finditer(text, 3) if match[0] == quote), None)
    return end == len(text)


class _Scanner:
    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source, self.text, self.at, self.end = source, source.text, start, end
        self.found = Scan()
        self.open: list[int] = []

    def run(self) -> Scan:
        while self.at < self.end and self.found.wrong is None:
            match = _TOKEN.match(self.text, self.at, self.end)
            if match is None:
                self._stray()
            else:
                kind = match.lastgroup or ""
                if kind != "skip":
                    getattr(self, "_" + kind)(match[0])
                self.at = max(self.at, match.end())
        if self.found.wrong is None and self.open and self.found.bracket is None:
            opener = self.found.tokens[self.open[-1]]
            self.found.bracket = UnclosedBracket(opener.span), self.open[-1]
        last = Span(self.source, self.end, self.end)
        self._token(WRONG, "", last) if self.found.wrong else self._token(END, "", last)
        return self.found

    def _span(self, length: int) -> Span:
        return Span(self.source, self.at, self.at + length)

    def _token(self, type: str, text: str, span: Span | None = None) -> None:
        span = span or self._span(len(text))
        if len(self.found.tokens) >= MOST_TOKENS:
            what = "this text is too long"
            raise TooLarge(span, what, f"{MOST_TOKENS} words and signs", "split it into several files").error()
        self.found.tokens.append(Token(type, text, span))

    def _comment(self, text: str) -> None:
        line = self.text.rfind("\n", 0, self.at) + 1
        own_line = not self.text[line : self.at].strip()
        text = text.rstrip()
        self.found.comments.append(Comment(text, own_line, span=self._span(len(text))))

    def _doc(self, quote: str) -> None:
        start = self.at + len(quote)
        for match in _END_OF_DOC[quote].finditer(self.text, start, self.end):
            if match[0] == quote:
                text = self.text[self.at : match.end()]
                self._token("DOCSTRING", text)
                self.at = match.end()
                return
        self.found.wrong = UnterminatedString(self._span(3), quote)

    def _string(self, text: str) -> None:
        if "\\" in text:
            self.at += text.index("\\")
            self.found.wrong = BadEscape(self._span(1))
        else:
            self._token("STRING", text)

    def _quote(self, text: str) -> None:
        self.found.wrong = UnterminatedString(self._span(1), text)

    def _number(self, text: str) -> None:
        name = self._letters(self.at + len(text))
        if name:
            self.found.wrong = _letters_after(text, name, self._span(len(text) + len(name)))
        elif re.fullmatch(r"0[0-9_]*[1-9][0-9_]*", text):
            plain = text.lstrip("0_")
            self.found.wrong = BadNumber(self._span(len(text)), "an int does not begin with 0", f"write '{plain}'")
        else:
            self._check_length(text, "number")
            self._token("LITERAL", text)

    def _word(self, text: str) -> None:
        rest = self._letters(self.at + len(text))
        if rest:
            self._letter(text + rest, len(text))
            return
        self._check_length(text, "name")
        self._token(PYTHON_WORD if text in PYTHON_WORDS else RESERVED.get(text, "NAME"), text)

    def _check_length(self, text: str, what: str) -> None:
        if len(text) > LONGEST_NAME:
            title = f"this {what} has {len(text)} characters"
            raise TooLarge(self._span(len(text)), title, str(LONGEST_NAME), f"use a shorter {what}").error()

    def _foreign(self, text: str) -> None:
        self.found.wrong = ForeignSign(self._span(len(text)), SIGNS[text])

    def _sign(self, text: str) -> None:
        self._token(_TERMINALS.get(text, "OPERATOR"), text)
        if text in "([{":
            self.open.append(len(self.found.tokens) - 1)
            if len(self.open) > DEEPEST_BRACKETS:
                what = "these brackets are nested too deeply"
                raise TooLarge(self._span(1), what, str(DEEPEST_BRACKETS), "name inner parts with 'let'").error()
        elif text in ")]}":
            self._close(text)

    def _close(self, text: str) -> None:
        number = len(self.found.tokens) - 1
        if self.open and _CLOSER[self.found.tokens[self.open[-1]].text] == text:
            self.open.pop()
        elif self.found.bracket is None:
            if self.open:
                opener = self.found.tokens[self.open[-1]]
                self.found.bracket = MismatchedBracket(opener.span, self._span(1)), self.open[-1]
            else:
                self.found.bracket = UnopenedBracket(self._span(1)), number

    def _stray(self) -> None:
        self._letter(self._letters(self.at) or self.text[self.at], 0)

    def _letters(self, start: int) -> str:
        match = _LETTERS.match(self.text, start, self.end)
        return match[0] if match else ""

    def _letter(self, word: str, first: int) -> None:
        self.at += first
        self.found.wrong = mistake_in(word[first], word, self._span(1))
