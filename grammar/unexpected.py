"""The token at which the parser stopped -> the mistake that was most likely made, in the user's words.

Works from the tokens up to there and from the terminals that could have followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attnc.diagnostics import Label, Span, did_you_mean
from attnc.diagnostics.syntax import (
    AssignmentInExpression,
    ClauseOutside,
    ExtraValue,
    ForeignSign,
    MisplacedDocstring,
    MissingElse,
    MissingExpression,
    MissingName,
    MissingOperator,
    NotAName,
    OddTarget,
    ReservedWord,
    SwallowedClause,
    SyntaxMistake,
    Unexpected,
    UnknownClause,
    UnnamedValue,
    WhereNotation,
)

from .scanner import END, PYTHON_WORD, Token
from .words import CLAUSES, ITEMS, RESERVED, ROLES, SOFT

_VALUES = ("NAME", "LITERAL", "STRING")
_KEYWORDS = frozenset(SOFT.values())
_NAMED = {
    "ATTENTION": ("this attention", "write 'attention NAME'"),
    "DEFINE": ("this definition", "write 'define NAME[j](s) = …'"),
    "INPUT": ("this input", "write 'input slope[H]'"),
    "AXIS": ("this axis", "write 'axis i, j: N'"),
    "OUTPUT": ("this output", "write 'output NAME'"),
    "WITH": ("this value", "write 'with m = …'"),
    "DOT": ("this component", "write 'i.x'"),
    "LBRACE": ("this component", "write '{y: rows, x: cols}'"),
}
_JOINING = {"OPERATOR": "an operator", "COMMA": "','", "COLON": "':'"}
_SAID = {
    "LITERAL": "an expression",
    "NAME": "a name",
    "STRING": "text in quotes",
    "EQUAL": "'='",
    "COLON": "':'",
    "RPAR": "',' or ')'",
    "RSQB": "',' or ']'",
    "RBRACE": "',' or '}'",
    "LPAR": "'(' and the formals",
    "IN": "'in'",
}


def explain(tokens: Sequence[Token], number: int, expected: set[str], start: str) -> SyntaxMistake:
    """`tokens[number]` fits nowhere; a token of one of the terminals `expected` would have."""
    return _Place(tokens, number, expected, start).explain()


@dataclass
class _Place:
    tokens: Sequence[Token]
    number: int
    expected: set[str]
    start: str

    def explain(self) -> SyntaxMistake:
        for rule in (
            self._swallowed,
            self._word_of_python,
            self._at_top,
            self._assignment,
            self._missing_expression,
            self._missing_name,
            self._missing_else,
            self._unnamed_value,
            self._side_by_side,
            self._not_a_name,
            self._extra_value,
        ):
            mistake = rule()
            if mistake is not None:
                return mistake
        return self._anything()

    @property
    def token(self) -> Token:
        return self.tokens[self.number]

    def back(self, steps: int = 1) -> Token | None:
        return self.tokens[self.number - steps] if self.number >= steps else None

    @property
    def after_value(self) -> bool:
        return "OPERATOR" in self.expected

    @property
    def wants_value(self) -> bool:
        return "LITERAL" in self.expected

    def starts_line(self, number: int) -> bool:
        span = self.tokens[number].span
        return not span.source.text[: span.start].rpartition("\n")[2].strip()

    # --- the rules, in the order in which they are tried; each gives a mistake or None ---

    def _swallowed(self) -> SyntaxMistake | None:
        """`s = q[i] @` and then `mask j <= i`: the clause word was taken for a name."""
        word, dangling = self.back(), self.back(2)
        header = self._header_word()
        if header is not None:
            return _nameless(header)
        if word is None or dangling is None or word.type != "NAME" or word.text not in SOFT:
            return None
        if self.token.type not in (*_VALUES, "NOT", PYTHON_WORD, "DOCSTRING"):
            return None
        if (dangling.type in _NAMED or dangling.type == "ROLE") and not self._in_expression():
            return _nameless(dangling)
        if dangling.type in ("EQUAL", "MASK", "REQUIRE"):
            return MissingExpression(dangling.span, Label(word.span, "the next clause begins here"))
        return SwallowedClause(dangling.span, word.span) if dangling.type not in (*_VALUES, "RPAR", "RSQB") else None

    def _header_word(self) -> Token | None:
        """`attention` without a name, when the next line's clause word was taken for one."""
        for number in range(self.number - 1, 0, -1):
            word, before = self.tokens[number], self.tokens[number - 1]
            if before.type in ("ATTENTION", "DEFINE"):
                return before if word.text in SOFT and self.starts_line(number) else None
            if word.type in _KEYWORDS:
                return None
        return None

    def _in_expression(self) -> bool:
        """Whether the token stands after a `=` or a clause word that takes an expression, or in brackets."""
        depth = 0
        for token in reversed(self.tokens[: self.number]):
            depth += (token.text in ")]}") - (token.text in "([{") if len(token.text) == 1 else 0
            if depth < 0 or token.type in ("EQUAL", "MASK", "REQUIRE"):
                return True
            if token.type in _KEYWORDS:
                return False
        return self.start == "expression"

    def _word_of_python(self) -> SyntaxMistake | None:
        token = self.token
        if token.text == "where" and self.after_value:
            return WhereNotation(token.span)
        if token.type == PYTHON_WORD:
            if token.text == "is" and self.after_value:
                return ForeignSign(token.span, "write '=='")
            if "NAME" in self.expected and not self.wants_value:
                return ReservedWord(token.span, "Python")
            return Unexpected(token.span, f"'{token.text}', a word of Python,")
        if token.text in RESERVED and "NAME" in self.expected and not self.wants_value:
            return ReservedWord(token.span, "the language")
        return None

    def _at_top(self) -> SyntaxMistake | None:
        if "ATTENTION" not in self.expected or self.token.type == END:
            return None
        before = self.back()
        if self.token.text in CLAUSES and "MASK" not in self.expected:
            is_after_doc = before is not None and before.type == "DOCSTRING"
            return MisplacedDocstring(before.span) if before and is_after_doc else ClauseOutside(self.token.span)
        return self._unknown_clause() if self.token.type == "NAME" else None

    def _unknown_clause(self) -> SyntaxMistake | None:
        """A name where an expression may end: a misspelt clause, a value without `let`, or no operator between."""
        token, following = self.token, self.tokens[self.number + 1]
        known = (*CLAUSES, *ITEMS) if "MASK" in self.expected else ITEMS
        near = did_you_mean(token.text, known)
        if near:
            return UnknownClause(token.span, known, f"did you mean '{near}'?")
        if following.type == "EQUAL":
            return UnknownClause(token.span, known, f"to name a value, write 'let {token.text} = …'")
        if self.starts_line(self.number) or not (self.after_value or "COMMA" in self.expected):
            return UnknownClause(token.span, known, None)
        return None

    def _assignment(self) -> SyntaxMistake | None:
        if self.token.type != "EQUAL" or "EQUAL" in self.expected or not self.after_value:
            return None
        return AssignmentInExpression(self.token.span)

    def _missing_expression(self) -> SyntaxMistake | None:
        before, token = self.back(), self.token
        if not self.wants_value:
            return None
        if token.type in ("LSQB", "LBRACE", "DOCSTRING") or before is None:
            return self._anything()
        if token.type in (END, "RPAR", "RSQB", "RBRACE"):
            return MissingExpression(before.span)
        return MissingExpression(before.span, Label(token.span, "this cannot begin an expression"))

    def _missing_name(self) -> SyntaxMistake | None:
        before = self.back()
        if "NAME" not in self.expected or self.wants_value or before is None:
            return None
        if before.type == "ROLE" and self.token.type not in ("EQUAL", END) and self.token.type not in _KEYWORDS:
            return OddTarget(self.token.span, "on the left of '='")
        if before.type == "COMMA":
            return MissingExpression(before.span, what="another item")
        return _nameless(before) if before.type in _NAMED or before.type == "ROLE" else None

    def _missing_else(self) -> SyntaxMistake | None:
        if "ELSE" not in self.expected or self.token.type in ("LPAR", "LSQB", "DOT", "EQUAL"):
            return None
        depth = 0
        for token in reversed(self.tokens[: self.number]):
            depth += (token.type == "ELSE") - (token.type == "IF")
            if depth < 0:
                return MissingElse(token.span)
        return None

    def _unnamed_value(self) -> SyntaxMistake | None:
        if "EQUAL" not in self.expected or self.after_value:
            return None
        for number in range(self.number - 1, -1, -1):
            word = self.tokens[number]
            if word.type == "ROLE":
                if self.token.type == "LPAR" and number == self.number - 2:
                    return OddTarget(self.token.span, "on the left of '='", "what takes arguments is a 'define'")
                if self.token.type == "DOT":
                    return OddTarget(self.token.span, "on the left of '='")
                if self.token.type == "COLON":
                    return None
                left = self.tokens[number + 1].span.to(self.tokens[self.number - 1].span)
                name = {"score": "s", "normalize": "p", "aggregate": "out"}.get(word.text, "name")
                return UnnamedValue(left, f"{word.text} {name} = …")
            if word.type in _KEYWORDS:
                return None
        return None

    def _side_by_side(self) -> SyntaxMistake | None:
        before = self.back()
        can_join = self.after_value or "COMMA" in self.expected
        if not can_join or self.token.type not in _VALUES or before is None:
            return None
        if self.token.type == "NAME" and "MASK" in self.expected:
            mistake = self._unknown_clause()
            if mistake is not None:
                return mistake
        signs = [said for terminal, said in _JOINING.items() if terminal in self.expected]
        return MissingOperator(self.token.span, self._value_before(), " or ".join(signs))

    def _not_a_name(self) -> SyntaxMistake | None:
        verb = {"LSQB": "subscripted", "LPAR": "called", "DOT": "followed by a component"}.get(self.token.type)
        before = self.back()
        if verb is None or not self.after_value or before is None:
            return None
        return NotAName(self._value_before(), verb)

    def _value_before(self) -> Span:
        """From the start of the bracketed or plain value that ends right before the token."""
        depth = 0
        number = self.number - 1
        while number > 0:
            text = self.tokens[number].text
            depth += (text in (")", "]")) - (text in ("(", "["))
            before = self.tokens[number - 1]
            continues = before.text in (")", "]") or before.type == "NAME"
            if depth == 0 and before.text != "." and not (text == "." or (text in ("(", "[") and continues)):
                break
            number -= 1
        return self.tokens[number].span.to(self.tokens[self.number - 1].span)

    def _extra_value(self) -> SyntaxMistake | None:
        if self.token.type != "COMMA" or not self.after_value:
            return None
        for token in reversed(self.tokens[: self.number]):
            if token.type == "MASK":
                return ExtraValue(self.token.span, "mask", "join conditions with 'and', or begin another 'mask'")
            if token.type == "ROLE" and token.text in ROLES:
                return ExtraValue(self.token.span, token.text, "begin another 'let'")
            if token.type in _KEYWORDS:
                return None
        return None

    def _anything(self) -> SyntaxMistake:
        token = self.token
        if token.type == "DOCSTRING":
            return MisplacedDocstring(token.span)
        found = "the end" if token.type == END else f"'{token.text}'"
        if self.after_value or "MASK" in self.expected:
            said = next((_SAID[one] for one in ("RPAR", "RSQB", "RBRACE") if one in self.expected), None)
        elif "NAME" in self.expected and (before := self.back()) and before.type == "COLON" and not self.wants_value:
            said = "a type"
        elif "ATTENTION" in self.expected:
            said = "'attention', 'define' or 'use'"
        else:
            said = next((words for terminal, words in _SAID.items() if terminal in self.expected), None)
        remedy = None
        if token.type == "COLON" and "MASK" in self.expected:
            remedy = "delete it: clauses follow without ':'"
        elif token.type == "LSQB" and self.wants_value:
            remedy = "sets of values are written '(0, 1)', on the right of 'in'"
        return Unexpected(token.span, found, said, remedy)


def _nameless(word: Token) -> MissingName:
    what, remedy = _NAMED.get(word.type, ("this value", f"write '{word.text} NAME = …'"))
    return MissingName(word.span, what, remedy)
