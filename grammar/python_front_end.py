"""A decorated Python function -> the tree that the same attention or definition has as text. It is never run.

Parameters: `int`, `float`, `bool` and `Literal["a", "b"]`, plain or in quotes, are parameters. Any other string is an
input and holds what follows the name in an `input` clause: "[H]", "[B, N]: int", and ": float" (or "[]") for a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attnc.diagnostics import Source, Span

from .expression_builder import refuse_repeats
from .python_body import read_attention_body, read_define_body
from .python_mistakes import NoSource
from .python_signature import read_formals, read_signature
from .python_source import PythonSource
from .scanner import END, scan
from .tree import Attention, Clause, Define, File, Input, Name


def parse_function(function: Callable[..., Any]) -> File:
    """The tree of `@attnc.attention def name(…)`; raises `AttnError` and nothing else.

    Inputs among the parameters become one `input` clause, which comes first. Annotated names without a value are axes:
    those of one line, and neighbours of equal size, are one clause. An assignment to `s`, `p` or `out` (without
    indices, or with the usual ones) is the score, the normalization or the aggregate, others are lets.
    `return expression` is the aggregate; returned names are the outputs, and before them may stand one expression.
    """
    source = PythonSource(function)
    name = source.name_of_function()
    parameters, inputs = read_signature(source)
    (doc, doc_span), clauses = read_attention_body(source)
    if inputs:
        first: Clause = Input(inputs, span=inputs[0].span.to(inputs[-1].span))
        clauses = (first, *clauses)
    attention = Attention(
        name.id,
        parameters,
        clauses,
        doc,
        span=source.span(source.function),
        name_span=name.span,
        doc_span=doc_span,
    )
    return File((attention,), span=attention.span)


def parse_define(function: Callable[..., Any], axes: Sequence[str]) -> File:
    """The tree of `@attnc.define(("j",)) def softmax(s)`: `axes` names the bracket, parameters are the formals
    (annotated "[j]" where they are read elsewhere along an axis), assignments the names after `with`."""
    source = PythonSource(function)
    name = source.name_of_function()
    names = tuple(_axis(axis) for axis in ((axes,) if isinstance(axes, str) else axes))
    refuse_repeats(((axis.id, axis.span) for axis in names), "axes")
    (doc, doc_span), bindings, value = read_define_body(source)
    define = Define(
        name.id,
        names,
        read_formals(source),
        value,
        bindings,
        doc,
        span=source.span(source.function),
        name_span=name.span,
        doc_span=doc_span,
    )
    return File((define,), span=define.span)


def _axis(word: object) -> Name:
    """An axis given to the decorator, where no span of the user's file is known."""
    if isinstance(word, str):
        found = scan(Source("@attnc.define", word))
        if [token.type for token in found.tokens] == ["NAME", END]:
            return Name(word, span=Span(Source("@attnc.define", word), 0, len(word)))
    remedy = "give names of indices: '@attnc.define((\"j\",))'"
    raise NoSource(f"@attnc.define({word!r})", "an axis is a name", remedy).error()
