"""Texts that are too much, or no text at all: one clear mistake each, and soon."""

import time

import pytest

import attnc
from attnc.grammar.limits import LARGEST_TEXT

CAUSAL = "attention causal\naxis i, j: N\nmask j <= i\n"
_MORE = "".join(f"define f{n}(x) = f{n - 1}(x) * f{n - 1}(x + 1)\n" for n in range(1, 40))
GROWING = "define f0(x) = x + 1\n" + _MORE
LETS = "let a0[j] = k[j, 0]\n" + "".join(f"let a{n}[j] = a{n - 1}[x[j]] * a{n - 1}[y[j]]\n" for n in range(1, 40))
LONG = "let x = softmax[j](q[i] @ k[j]) * softmax[j](q[i] @ k[j] + 1)\n"

TEXTS = {
    "empty": ("", "empty-file"),
    "only spaces": (" \n\t\n ", "empty-file"),
    "only a comment": ("# nothing\n", "empty-file"),
    "bytes that are not UTF-8": (b"attention a\nlet x = \xff\n", "unreadable-text"),
    "UTF-16": (CAUSAL.encode("utf-16"), "unreadable-text"),
    "a NUL": ("attention a\0\n", "unreadable-text"),
    "only NULs": (b"\0" * 100, "unreadable-text"),
    "an ELF file": (b"\x7fELF\x02\x01\x01" + b"\0" * 200, "unreadable-text"),
    "a lone surrogate": ("attention \ud800\n", "unreadable-text"),
    "text that turns its direction": ("attention a # \u202e\n", "unreadable-text"),
    "a file that is too long": (CAUSAL + "# long\n" * (LARGEST_TEXT // 6), "too-large"),
    "too many words": (CAUSAL + "let x = a " + "+ a " * 60_000, "too-large"),
    "deep brackets": (CAUSAL + "let x = " + "(" * 10_000 + "1" + ")" * 10_000, "too-large"),
    "deep signs": (CAUSAL + "let x = " + "-" * 10_000 + "1", "too-large"),
    "a tall sum": (CAUSAL + "let x = 1" + " + 1" * 10_000, "too-large"),
    "a long name": (CAUSAL + f"let {'x' * 100_000} = 1", "too-large"),
    "a very long number": (CAUSAL + f"let x = {'9' * 5_000}", "too-large"),
    "a large int": (CAUSAL + f"let x = {'9' * 30}", "number-too-large"),
    "an int of 64 bits": (CAUSAL + f"let x = {1 << 63}", "number-too-large"),
    "a large float": (CAUSAL + "let x = 1e999", "number-too-large"),
    "a large power": (CAUSAL + "let x = 10 ** 10 ** 10", "number-too-large"),
    "a large product": (CAUSAL + f"let x = {1 << 62} * 2", "number-too-large"),
    "a large default": ("attention a(n: int = 9223372036854775808)", "number-too-large"),
    "definitions that grow": (GROWING + "attention a\nscore s = f39(q[i] @ k[j])", "spec-too-large"),
    "definitions in definitions": (
        "define f0(x) = x\n"
        + "".join(f"define f{n}(x) = f{n - 1}(x)\n" for n in range(1, 200))
        + "attention a\nscore s = f199(q[i] @ k[j])",
        "spec-too-large",
    ),
    "definitions that call one another": (
        "define f(x) = g(x)\ndefine g(x) = f(x)\nattention a\nscore s = f(q[i] @ k[j])",
        "recursive-definition",
    ),
    "lets that grow": ("attention a\ninput x[N]: int, y[N]: int\naxis i, j: N\n" + LETS, "spec-too-large"),
    "masks without end": (
        "attention a\n" + "mask j <= i\n" * 400 + "".join(LONG.replace("x", f"x{n}", 1) for n in range(20)),
        "spec-too-large",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_one_mistake_and_soon(name):
    text, code = TEXTS[name]
    attnc.loads(CAUSAL)  # what is read once: the grammar's tables, the prelude
    start = time.process_time()
    with pytest.raises(attnc.AttnError) as caught:
        attnc.loads(text)
    assert time.process_time() - start < 10  # half a second: what grows without bound takes far longer
    assert caught.value.code == code
    assert len(caught.value.diagnostics) == 1
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "text",
    ["\ufeff" + CAUSAL, CAUSAL.replace("\n", "\r\n"), CAUSAL.replace("\n", "\r"), CAUSAL.encode("utf-8-sig")],
    ids=["byte order mark", "CRLF", "CR", "byte order mark in bytes"],
)
def test_other_line_ends_and_a_mark_are_read(text):
    assert attnc.loads(text).text == attnc.loads(CAUSAL).text


def test_places_in_texts_with_other_line_ends():
    with pytest.raises(attnc.AttnError) as caught:
        attnc.loads("\ufeffattention a\r\nscore s = q[i] @ kk[j]\r\n", "a.attn")
    assert " --> a.attn:2:18\n" in str(caught.value)
    assert "\r" not in str(caught.value)
