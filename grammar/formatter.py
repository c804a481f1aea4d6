"""`tree.File` -> text in the one canonical layout; equal trees give equal text, comments apart.

Parsing the text gives the same tree. Comments keep their order: one that stood behind a clause stays behind it, any
other goes on a line of its own before the clause or item that it stood in or before.
"""

from __future__ import annotations

from attnc.diagnostics import Span

from .comment_layout import Unit, own_lines, place
from .expression_layout import UnwritableText, format_expression, format_number, quoted, write
from .layout import WIDTH, Pieces
from .scanner import is_docstring
from .tree import (
    Attention,
    Axis,
    AxisItem,
    Clause,
    Define,
    File,
    Formal,
    Input,
    JoinedSize,
    Let,
    Mask,
    Name,
    Output,
    Parameter,
    ProductSize,
    Require,
    Use,
)

__all__ = ["format_expression", "format_file"]

_WIDTH_OF_WORD = 10
_DEEPEST_INDENT = 40


def format_file(file: File) -> str:
    """The whole file, with its comments; raises `AttnError` only for texts that no quotes can hold."""
    units = _units(file)
    left = place(file.comments, units)
    lines: list[str] = []
    for unit in units:
        if unit.gap and lines:
            lines.append("")
        lines += own_lines(unit.before, unit.span.start, unit.gap)
        lines += unit.lines
        if unit.beside:
            lines[-1] += f"  {unit.beside.text}"
    if left:
        lines += ["", *own_lines(left, None, True)]
    return "\n".join(lines) + "\n"


def _units(file: File) -> list[Unit]:
    units: list[Unit] = []
    if file.doc is not None:
        units.append(Unit(_docstring(file.doc), file.doc_span, gap=True))
    previous: object = None
    for item in file.items:
        if isinstance(item, Use):
            units.append(Unit([f"use {quoted(item.path)}"], item.span, gap=not isinstance(previous, Use)))
        else:
            start = len(units)
            if item.doc is not None:
                units.append(Unit(_docstring(item.doc), item.doc_span))
            units += _attention(item) if isinstance(item, Attention) else [Unit(_define(item), item.span)]
            units[start].gap = True
        previous = item
    return units


def _docstring(doc: str) -> list[str]:
    for quote in ('"""', "'''"):
        if is_docstring(f"{quote}{doc}{quote}"):
            return f"{quote}{doc}{quote}".split("\n")
    raise UnwritableText("docstring", "it has triple quotes of both kinds").error()


def _define(define: Define) -> list[str]:
    axes = f"[{_names(define.axes)}]" if define.axes else ""
    header = f"define {define.name}{axes}({', '.join(map(_formal, define.formals))}) = "
    value = Pieces()
    write(value, define.value)
    bindings = Pieces()
    for number, (name, bound) in enumerate(define.bindings):
        if number:
            bindings.comma()
        bindings.open(f"{name.id} = ")
        write(bindings, bound)
        bindings.close("")
    if not define.bindings:
        return _wrapped(header, value)
    one_line = f"{header}{value.text} with {bindings.text}"
    if len(one_line) <= WIDTH:
        return [one_line]
    return [*_wrapped(header, value), *_wrapped("    with ", bindings)]


def _formal(formal: Formal) -> str:
    axes = f"[{_names(formal.axes)}]" if formal.axes else ""
    default = f" = {format_expression(formal.default)}" if formal.default is not None else ""
    return f"{formal.name}{axes}{default}"


def _attention(attention: Attention) -> list[Unit]:
    header = Pieces()
    if attention.parameters:
        header.open("(")
        for number, parameter in enumerate(attention.parameters):
            if number:
                header.comma()
            header.write(_parameter(parameter))
        header.close(")")
    end = max(span.end for span in (attention.name_span, *(one.span for one in attention.parameters)))
    span = Span(attention.span.source, attention.span.start, end)
    lines = _wrapped(f"attention {attention.name}", header, 1 if attention.parameters else 0)
    return [Unit(lines, span), *(Unit(_clause(clause), clause.span) for clause in attention.clauses)]


def _parameter(parameter: Parameter) -> str:
    kind = " | ".join(map(quoted, parameter.modes)) if parameter.type == "mode" else parameter.type
    default = parameter.default
    if default is None:
        return f"{parameter.name}: {kind}"
    if isinstance(default, bool):
        value = str(default)
    else:
        value = quoted(default) if isinstance(default, str) else format_number(default)
    return f"{parameter.name}: {kind} = {value}"


def _wrapped(head: str, pieces: Pieces, hang: int = 0) -> list[str]:
    """`head` and then the pieces; further lines stand under the first piece, `hang` columns in."""
    indent = len(head) + hang if len(head) + hang <= _DEEPEST_INDENT else _WIDTH_OF_WORD + 4
    first, *rest = pieces.lines(len(head), indent)
    return [(head + first).rstrip(), *(" " * indent + line for line in rest)]


def _clause(clause: Clause) -> list[str]:
    pieces = Pieces()
    match clause:
        case Let(role=word, value=value):
            left = clause.name if clause.indices is None else f"{clause.name}[{_names(clause.indices)}]"
            write(pieces, value)
            return _wrapped(f"{word:<9} {left} = ", pieces)
        case Input():
            _input(pieces, clause)
        case Axis():
            _axis(pieces, clause)
        case Require(conditions=conditions):
            for number, condition in enumerate(conditions):
                if number:
                    pieces.comma()
                pieces.open("")
                write(pieces, condition)
                pieces.close("")
        case Mask(condition=condition):
            write(pieces, condition)
        case Output():
            _output(pieces, clause)
    return _wrapped(f"{type(clause).__name__.lower():<9} ", pieces)


def _input(pieces: Pieces, clause: Input) -> None:
    for number, item in enumerate(clause.items):
        if number:
            pieces.comma()
        pieces.write(item.name)
        if item.sizes:
            pieces.open("[")
            for place_, size in enumerate(item.sizes):
                if place_:
                    pieces.comma()
                write(pieces, size)
            pieces.close("]")
        if item.type != "float" or not item.sizes:
            pieces.write(f": {item.type}")


def _axis(pieces: Pieces, clause: Axis) -> None:
    for number, item in enumerate(clause.items):
        if number:
            pieces.comma()
        pieces.open(f"{_names(item.names)}: ")
        _size(pieces, item)
        pieces.close("")


def _size(pieces: Pieces, item: AxisItem) -> None:
    match item.size:
        case ProductSize(components=components):
            pieces.write("{")
            for number, (name, size) in enumerate(components):
                if number:
                    pieces.comma()
                pieces.write(f"{name}: ")
                write(pieces, size)
            pieces.write("}")
        case JoinedSize(parts=parts):
            pieces.write(" | ".join(part.id for part in parts))
        case size:
            write(pieces, size)


def _output(pieces: Pieces, clause: Output) -> None:
    for number, item in enumerate(clause.items):
        if number:
            pieces.comma()
        pieces.open(item.name if item.indices is None else f"{item.name}[{_names(item.indices)}]")
        if item.value is not None:
            pieces.write(" = ")
            write(pieces, item.value)
        pieces.close("")


def _names(names: tuple[Name, ...]) -> str:
    return ", ".join(name.id for name in names)
