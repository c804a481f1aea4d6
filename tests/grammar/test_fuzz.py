"""Whatever is given to the parser, it answers with a tree or with `AttnError`, soon."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnc.diagnostics import AttnError
from attnc.grammar.formatter import format_file
from attnc.grammar.limits import LARGEST_TEXT, MOST_TOKENS
from attnc.grammar.parser import parse
from attnc.grammar.tree import File

EXAMPLES = [path.read_text() for path in sorted((Path(__file__).parent / "language").glob("*.attn"))]
PIECES = [
    "(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "==", "<=", "|", "**", "@", "-", "not ", " in ", " if ", " else ",
    "and", "mask ", "let ", "score ", "axis ", "input ", "output ", "attention ", "define ", "with ", "use ", '"',
    '"""', "'", "#", "\n", " ", "x", "j", "2", "1e5", "lambda", "where", "&&", "λ", "\\", "\x00", "True", ";", "q[i]",
]  # fmt: skip
quick = settings(max_examples=80, deadline=None)


def answer(text):
    try:
        file = parse(text)
    except AttnError as error:
        assert len(error.diagnostics) == 1 and str(error)
        return
    assert isinstance(file, File)
    assert parse(format_file(file)) == file


@given(st.text())
@quick
def test_any_text(text):
    answer(text)


@given(st.binary())
@quick
def test_any_bytes(text):
    answer(text)


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@quick
def test_any_pieces(text):
    answer(text)
    answer("attention a " + text)


@given(st.sampled_from(EXAMPLES), st.data())
@settings(max_examples=200, deadline=None)
def test_mutated_specs(text, data):
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 6)))
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    answer(text)


@pytest.mark.parametrize(
    "body",
    [
        "let x = " + "(" * 5000,
        "let x = " + "(" * 99 + "a" + ")" * 99,
        "let x = " + "f(" * 99 + "a" + ")" * 99,
        "let x = " + "f(a + " * 99 + "a" + ")" * 99,
        "let x = " + "q[" * 99 + "a" + "]" * 99,
        "let x = " + "sum[j: " * 99 + "a" + "](b)" * 99,
        "let x = " + "a + " * 140 + "a",
        "let x = " + "a + " * 5000 + "a",
        "let x = " + "a ** " * 5000 + "a",
        "let x = " + "-" * 20000 + "a",
        "let x = " + "not " * 5000 + "a",
        "let x = " + "a if b else " * 3000 + "a",
        "let x = " + "a < " * 5000 + "a",
        "let x = " + "a and " * 5000 + "a",
        "axis u: " + "a | " * 5000 + "a",
        "let x = f(" + "a, " * 5000 + "a)",
        "mask a\n" * 4000,
        "let x = " + "9" * 100_000,
        "let " + "x" * 100_000 + " = 1",
        '"""' + "a" * 500_000 + '"""',
        "# " + "c" * 500_000 + "\n" * 1000,
        "let x = " + "a " * (MOST_TOKENS + 1),
        " " * (LARGEST_TEXT + 1),
    ],
    ids=lambda body: body[:24],
)
def test_extremes(body):
    answer("attention a\n" + body)
