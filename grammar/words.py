"""The words and signs of the language, once: for the scanner, the parser, the formatter and the messages."""

from __future__ import annotations

ROLES = ("let", "score", "normalize", "aggregate")
CLAUSES = ("input", "axis", "require", "mask", "output", *ROLES)
ITEMS = ("attention", "define", "use")

# Soft keywords: a word is one only where the grammar takes one, so that `input mask[B, N]` is legal.
SOFT = {word: "ROLE" if word in ROLES else word.upper() for word in (*CLAUSES, *ITEMS)}

# Reserved everywhere, with the terminal of each.
RESERVED = {
    "if": "IF",
    "else": "ELSE",
    "and": "OPERATOR",
    "or": "OPERATOR",
    "not": "NOT",
    "in": "IN",
    "with": "WITH",
    "True": "LITERAL",
    "False": "LITERAL",
    "true": "LITERAL",
    "false": "LITERAL",
}

# Words that Python keeps for itself: a spec must also be writable as a Python function.
PYTHON_WORDS = frozenset(
    {"None", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "except"}
    | {"finally", "for", "from", "global", "import", "is", "lambda", "nonlocal", "pass", "raise", "return", "try"}
    | {"while", "yield"}
)

TYPES = ("int", "float", "bool")

# How tightly each operator binds, as in Python; a larger number binds tighter.
CONDITIONAL, OR, AND, NOT, COMPARE, SIGN, POWER, ATOM = 0, 1, 2, 3, 4, 11, 12, 13
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=", "in", "not in")
BINARY = {
    "|": 5,
    "^": 6,
    "&": 7,
    "<<": 8,
    ">>": 8,
    "+": 9,
    "-": 9,
    "*": 10,
    "/": 10,
    "//": 10,
    "%": 10,
    "@": 10,
    "**": POWER,
}
LEVELS = {"or": OR, "and": AND, **dict.fromkeys(COMPARISONS, COMPARE), **BINARY}
