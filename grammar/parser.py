"""Text -> `tree.File`, or the first mistake in it. The only home of Lark, which is imported at the first parse.

The grammar's tables decide which words are keywords: a clause word is one exactly where a clause may begin.
"""

from __future__ import annotations

import gc
import re
import unicodedata
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnc.diagnostics import AttnError, Source, Span
from attnc.diagnostics.syntax import EmptyFile, TooLarge, UnreadableText

from .builder import Builder
from .expression_builder import finished
from .limits import LARGEST_TEXT
from .scanner import WRONG, Scan, scan
from .tree import Expr, File, Use
from .unexpected import explain
from .words import SOFT

if TYPE_CHECKING:
    from lark import Lark

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def parse(text: str | bytes, name: str = "<text>") -> File:
    """The syntax tree of a file; `name` is what messages call it. Raises `AttnError` and nothing else."""
    source = readable(text, name)
    found = scan(source)
    file: File = run(found, "file")
    whole = Span(source, 0, len(source.text))
    if all(isinstance(item, Use) for item in file.items):
        raise EmptyFile(Span(source, 0, 0)).error()
    return replace(file, comments=tuple(found.comments), span=whole)


def parse_expression(text: str, name: str = "<text>") -> Expr:
    """The tree of one expression."""
    return finished(run(scan(readable(text, name)), "expression"))


def readable(text: str | bytes, name: str) -> Source:
    """The text to be parsed: line ends as newlines, nothing invisible in it, not too much of it."""
    if len(text) > LARGEST_TEXT:
        unit = "bytes" if isinstance(text, bytes) else "characters"
        title = f"this text has {len(text)} {unit}"
        beginning = Span(Source(name, "…"), 0, 0)
        raise TooLarge(beginning, title, str(LARGEST_TEXT), "split it into several files").error()
    if isinstance(text, bytes):
        text = _decoded(text, name)
    source = Source(name, text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    refuse_invisible(source)
    return source


def run(found: Scan, start: str) -> Any:
    """What the rule `start` makes of the tokens; the earliest mistake, if there is one, is raised."""
    import lark

    state: Any = _lark().parse_interactive(start=start)
    for number, token in enumerate(found.tokens):
        if token.text in SOFT and SOFT[token.text] in state.choices():
            token.type = SOFT[token.text]
        try:
            result = state.feed_token(token)
        except lark.UnexpectedToken:
            raise _mistake(found, number, start) from None
    return result


def _mistake(found: Scan, number: int, start: str) -> AttnError:
    if found.bracket is not None and found.bracket[1] <= number:
        return found.bracket[0].error()
    if found.wrong is not None and found.tokens[number].type == WRONG:
        return found.wrong.error()
    state: Any = _lark().parse_interactive(start=start)
    for token in found.tokens[:number]:
        state.feed_token(token)
    return explain(found.tokens, number, state.accepts(), start).error()


@cache
def _lark() -> Lark:
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Lark's own lexers are not built: the scanner has made the tokens."""

        def __init__(self, lexer_conf: object) -> None:
            pass

        def lex(self, lexer_state: object, parser_state: object) -> Any:
            raise AssertionError("the scanner makes the tokens")

    grammar = Path(__file__).with_name("attn.lark").read_text("utf-8")
    starts = ["file", "expression", "annotation"]
    was_enabled = gc.isenabled()
    gc.disable()  # a third faster: the tables are many small objects and none is garbage
    try:
        return Lark(
            grammar, parser="lalr", lexer=NoLexer, start=starts, transformer=Builder(), maybe_placeholders=False
        )
    finally:
        if was_enabled:
            gc.enable()


def _decoded(text: bytes, name: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8")
        line_end = text.find(b"\n", error.start)
        rest = text[error.start : line_end if line_end >= 0 else None].decode("utf-8", errors="replace")
        span = Span(Source(name, _visible(before + rest)), len(before), len(before) + 1)
        remedy = "save the file as UTF-8 text"
        raise UnreadableText(span, "a byte that is not UTF-8", remedy).error() from None


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def refuse_invisible(source: Source) -> None:
    """No control characters, no lone surrogates, nothing that turns the direction of the text."""
    found = _INVISIBLE.search(source.text)
    if found is not None:
        name = unicodedata.name(found[0], "a control character").lower()
        span = Span(replace(source, text=_visible(source.text)), found.start(), found.end())
        raise UnreadableText(span, f"{name} (U+{ord(found[0]):04X})", "delete it").error()
