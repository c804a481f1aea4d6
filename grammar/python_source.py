"""A Python function -> its syntax as Python reads it, and the places of the pieces in the user's own file.

The function is never run and nothing in it is evaluated.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from tokenize import TokenError
from typing import Any

from attnc.diagnostics import Source, Span
from attnc.diagnostics.syntax import ReservedWord

from .expression_builder import finished
from .limits import LARGEST_TEXT
from .parser import refuse_invisible, run
from .python_constructs import refuse_constructs
from .python_mistakes import NoSource, PythonConstruct
from .scanner import END, scan
from .tree import Expr, Name

_WORD = re.compile(r"\w+")
_DEF = re.compile(r"def\s+")


class PythonSource:
    """The text of one function, dedented, and the nodes of `ast` in it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        with suppress(ValueError):
            function = inspect.unwrap(function)
        name = getattr(function, "__name__", type(function).__name__)
        if not inspect.isfunction(function):
            raise NoSource(name, "it is not a function").error()
        if name == "<lambda>":
            raise NoSource("lambda", "it has no name", "write a function with 'def'").error()
        self.source, tree = _read(function, name)
        self._starts = [0]
        for line in self.source.text.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        if isinstance(tree, ast.AsyncFunctionDef):
            raise PythonConstruct(self.span(tree, len("async def")), "'async'", "write 'def'").error()
        if not isinstance(tree, ast.FunctionDef) or not _is_same(tree, function):
            raise NoSource(name, "its file has changed since it was imported").error()
        self.function = tree

    def offset(self, line: int, column: int) -> int:
        """Of a position as `ast` counts it: lines from 1, columns in bytes."""
        start = self._starts[line - 1]
        text = self.source.text[start : self._starts[line] - 1]
        return start + len(text.encode()[:column].decode(errors="ignore"))

    def span(self, node: ast.AST, length: int | None = None) -> Span:
        """A node's place, or the place of its first `length` characters."""
        position: Any = node
        start = self.offset(position.lineno, position.col_offset)
        end = self.offset(position.end_lineno, position.end_col_offset) if length is None else start + length
        return Span(self.source, start, end)

    def name(self, start: int) -> Name:
        """The name that stands at an offset, refused where the language has no such name."""
        match = _WORD.match(self.source.text, start)
        assert match is not None
        found = scan(self.source, start, match.end())
        token = found.tokens[0]
        if found.wrong is not None:
            raise found.wrong.error()
        if token.type != "NAME":
            raise ReservedWord(token.span, "the language").error()
        return Name(token.text, span=token.span)

    def name_of_function(self) -> Name:
        start = self.span(self.function).start
        match = _DEF.match(self.source.text, start)
        assert match is not None
        return self.name(match.end())

    def expression(self, node: ast.expr) -> Expr:
        """The tree that the same text has in a spec."""
        refuse_constructs(node, self.span)
        span = self.span(node)
        return finished(run(scan(self.source, span.start, span.end), "expression"))

    def inner_text(self, node: ast.Constant) -> Span:
        """What stands between the quotes of a string that is written plainly, on one line."""
        span = self.span(node)
        tokens = scan(self.source, span.start, span.end).tokens
        if [token.type for token in tokens] != ["STRING", END]:
            raise PythonConstruct(span, "a string with a prefix, escapes or several pieces").error()
        return Span(self.source, span.start + 1, span.end - 1)


def _read(function: Any, name: str) -> tuple[Source, ast.stmt]:
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        raise NoSource(name, "its source is not in a file").error() from None
    except (SyntaxError, TokenError):
        raise NoSource(name, "its file has changed since it was imported").error() from None
    indent = len(lines[0]) - len(lines[0].lstrip())
    text = "".join(_dedented(line, lines[0][:indent]) for line in lines)
    if len(text) > LARGEST_TEXT:
        raise NoSource(name, f"it has more than {LARGEST_TEXT} characters").error()
    source = Source(_shown_path(inspect.getsourcefile(function) or "<python>"), text, max(first, 1), indent)
    try:
        refuse_invisible(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python has told them when it compiled the file
            return source, ast.parse(text).body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        raise NoSource(name, "its source is not a whole function").error() from None


def _dedented(line: str, indent: str) -> str:
    return line.removeprefix(indent) if line.startswith(indent) else line.lstrip(" \t")


def _shown_path(path: str) -> str:
    """Relative where the file lies below the current folder."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path
    return path if relative.startswith(os.pardir) else relative


def _is_same(tree: ast.FunctionDef, function: Any) -> bool:
    code = function.__code__
    names = [one.arg for one in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs)]
    return tree.name == code.co_name and names == list(code.co_varnames[: len(names)])
