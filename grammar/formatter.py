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
_SHALLOW_INDENT = 14


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
    pieces = Pieces()
    pieces.open(f"define {define.name}{axes}(")
    for number, formal in enumerate(define.formals):
        if number:
            pieces.comma()
        _formal(pieces, formal)
    pieces.close(") = ")
    header = len(pieces.text)
    write(pieces, define.value)
    if not define.bindings:
        return _lines(pieces, header)
    bindings = Pieces()
    bindings.write("with ")
    for number, (name, value) in enumerate(define.bindings):
        if number:
            bindings.comma()
        bindings.open(f"{name.id} = ")
        write(bindings, value)
        bindings.close("")
    one_line = f"{pieces.text} {bindings.text}"
    if len(one_line) <= WIDTH:
        return [one_line]
    return [*_lines(pieces, header), *("    " + line for line in _lines(bindings, len("with "), WIDTH - 4))]


def _formal(pieces: Pieces, formal: Formal) -> None:
    pieces.write(formal.name + (f"[{_names(formal.axes)}]" if formal.axes else ""))
    if formal.default is not None:
        pieces.write(" = ")
        write(pieces, formal.default)


def _attention(attention: Attention) -> list[Unit]:
    header = Pieces()
    header.write(f"attention {attention.name}")
    if attention.parameters:
        header.open("(")
        for number, parameter in enumerate(attention.parameters):
            if number:
                header.comma()
            header.write(_parameter(parameter))
        header.close(")")
    end = max(span.end for span in (attention.name_span, *(one.span for one in attention.parameters)))
    span = Span(attention.span.source, attention.span.start, end)
    lines = _lines(header, len(f"attention {attention.name}("))
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


def _lines(pieces: Pieces, indent: int, width: int = WIDTH) -> list[str]:
    """The pieces in lines; those after the first are indented, unless that would be very deep."""
    if indent > _DEEPEST_INDENT:
        indent = _SHALLOW_INDENT
    first, *rest = pieces.lines(indent, width)
    return [first, *(" " * indent + line for line in rest)]


def _clause(clause: Clause) -> list[str]:
    pieces = Pieces()
    word = clause.role if isinstance(clause, Let) else type(clause).__name__.lower()
    pieces.write(f"{word:<9} ")
    match clause:
        case Let():
            pieces.write(clause.name + (f"[{_names(clause.indices)}]" if clause.indices is not None else "") + " = ")
            indent = len(pieces.text)
            write(pieces, clause.value)
            return _lines(pieces, indent)
        case Input():
            _input(pieces, clause)
        case Axis():
            _axis(pieces, clause)
        case Require():
            _require(pieces, clause)
        case Mask():
            write(pieces, clause.condition)
        case Output():
            _output(pieces, clause)
    return _lines(pieces, _WIDTH_OF_WORD)


def _require(pieces: Pieces, clause: Require) -> None:
    for number, condition in enumerate(clause.conditions):
        if number:
            pieces.comma()
        pieces.open("")
        write(pieces, condition)
        pieces.close("")


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
