"""What to type instead of a character or sign that the language does not have."""

from __future__ import annotations

import unicodedata

from attnc.diagnostics import Span
from attnc.diagnostics.syntax import LetterInName, StrayCharacter, SyntaxMistake

from .words import PYTHON_WORDS, RESERVED

SIGNS = {
    "&&": "write 'and'",
    "||": "write 'or'",
    "!": "write 'not'",
    "~": "write 'not' for conditions",
    "===": "write '=='",
    "!==": "write '!='",
    "<>": "write '!='",
    "=>": "write '>='",
    "=<": "write '<='",
    ":=": "name the value in a clause of its own: 'let name = …'",
    "->": "delete it: types are inferred",
    ";": "delete it: a clause ends where the next begins",
    "...": "write every index, or leave trailing ones out",
    **dict.fromkeys(
        ("+=", "-=", "*=", "/=", "//=", "%=", "**=", "@=", "&=", "|=", "^=", "<<=", ">>="),
        "names keep their value: give the new one a name of its own",
    ),
}

_INSTEAD = {
    "≤": "'<='", "≥": "'>='", "≠": "'!='", "×": "'*'", "·": "'*' or '@'", "∗": "'*'", "−": "'-'", "–": "'-'",
    "÷": "'/'", "∧": "'and'", "∨": "'or'", "¬": "'not'", "∈": "'in'", "∉": "'not in'", "∞": "'inf'",
    "√": "'sqrt(…)'", "∑": "'sum[j](…)'", "∏": "'prod[j](…)'", "“": "'\"'", "”": "'\"'", "‘": "\"'\"",
    "’": "\"'\"", "²": "'** 2'", "³": "'** 3'", "…": "the range out", "⌊": "'floor(…)'", "⌈": "'ceil(…)'",
}  # fmt: skip


def mistake_in(character: str, word: str, span: Span) -> SyntaxMistake:
    """`character` (at `span`) belongs to no token; `word` is the run of letters that it stands in, if any."""
    if unicodedata.category(character) == "Zs":
        return StrayCharacter(span, character, "this is not a plain space", "type a plain space")
    if character in _INSTEAD:
        return StrayCharacter(span, character, _described(character), f"write {_INSTEAD[character]}")
    if character.isalpha():
        spelled = _spelled(word)
        return LetterInName(span, f"spell it out: '{spelled}'" if spelled else None)
    return StrayCharacter(span, character, _described(character))


def _described(character: str) -> str:
    return unicodedata.name(character, f"U+{ord(character):04X}").lower() if ord(character) > 127 else ""


def _spelled(word: str) -> str | None:
    """The word in plain letters: Greek by the letters' names, others without their accents."""
    out = "".join(_spelled_letter(letter) for letter in word)
    if not out.isascii() or not out.isidentifier():
        return None
    return out + "_" if out in PYTHON_WORDS or out in RESERVED else out


def _spelled_letter(letter: str) -> str:
    name = unicodedata.name(letter, "").split()
    if name[:1] == ["GREEK"] and "LETTER" in name and name[-1] != "LETTER":
        said = name[name.index("LETTER") + 1].replace("LAMDA", "LAMBDA").lower()
        return said.capitalize() if "CAPITAL" in name else said
    return "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
