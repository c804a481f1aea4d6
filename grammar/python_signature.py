"""The parameters of a Python function -> parameters and inputs of an attention, or formals of a definition."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from attnc.diagnostics import Span

from .parameters import make_parameter
from .parser import run
from .python_mistakes import PythonConstruct, PythonParameter
from .python_source import PythonSource
from .scanner import scan
from .tree import Expr, Formal, InputItem, Name, Parameter
from .words import TYPES

_DEFAULT_TENSORS = ("q", "k", "v")


def read_signature(source: PythonSource) -> tuple[tuple[Parameter, ...], tuple[InputItem, ...]]:
    parameters: list[Parameter] = []
    inputs: list[InputItem] = []
    for argument, default in _arguments(source):
        read = _read(source, argument, default)
        if isinstance(read, Parameter):
            parameters.append(read)
        else:
            inputs.append(read)
    return tuple(parameters), tuple(inputs)


def read_formals(source: PythonSource) -> tuple[Formal, ...]:
    out: list[Formal] = []
    for argument, default in _arguments(source):
        name = source.name(source.span(argument).start)
        axes: tuple[Name, ...] = ()
        if argument.annotation is not None:
            axes = _axes_of_formal(source, name, argument.annotation)
        value = source.expression(default) if default is not None else None
        out.append(Formal(name.id, axes, value, span=source.span(argument)))
    return tuple(out)


def _arguments(source: PythonSource) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Every parameter with its default, those with one value each."""
    arguments = source.function.args
    for star, extra in (("*", arguments.vararg), ("**", arguments.kwarg)):
        if extra is not None:
            raise PythonConstruct(source.span(extra), f"'{star}{extra.arg}'", "write every parameter out").error()
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    yield from zip(positional, [*missing, *arguments.defaults])
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults)


def _read(source: PythonSource, argument: ast.arg, default: ast.expr | None) -> Parameter | InputItem:
    name = source.name(source.span(argument).start)
    annotation = argument.annotation
    whole = source.span(argument)
    if annotation is None:
        raise _untyped(name).error()
    types = _types(source, annotation)
    if types is not None:
        value = source.expression(default) if default is not None else None
        span = whole.to(source.span(default)) if default is not None else whole
        return make_parameter(name.id, types, value, span)
    input_ = _input(source, annotation)
    if input_ is None:
        reason = "has an annotation that is neither a type nor the sizes of an input"
        raise PythonParameter(source.span(annotation), name.id, reason, _remedies(name.id)).error()
    if default is not None:
        raise PythonParameter(source.span(default), name.id, "is an input, and an input has no default").error()
    return InputItem(name.id, *input_, span=whole)


def _untyped(name: Name) -> PythonParameter:
    if name.id in _DEFAULT_TENSORS:
        remedy = "leave it out: q, k and v are there wherever they are read", f"or give it sizes: '{name.id}: \"[…]\"'"
        return PythonParameter(name.span, name.id, "has no annotation", remedy)
    return PythonParameter(name.span, name.id, "has no annotation", _remedies(name.id))


def _remedies(name: str) -> tuple[str, ...]:
    return f"for a parameter, write '{name}: int'", f"for an input, write '{name}: \"[H]\"'"


def _types(source: PythonSource, annotation: ast.expr) -> list[tuple[str, Span]] | None:
    """The type of a parameter as `make_parameter` takes it; None where the annotation is none."""
    place = source.span(annotation)
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        word = annotation.value.strip()
        if word in TYPES:
            return [(word, place)]
        if not word.startswith(("Literal[", "typing.Literal[")):
            return None
        try:
            annotation = ast.parse(word, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return [(f'"{mode}"', place) for mode, _ in _choices(annotation)] or None
    if isinstance(annotation, ast.Name):
        return [(annotation.id, place)]
    return [(f'"{mode}"', source.inner_text(node)) for mode, node in _choices(annotation)] or None


def _choices(annotation: ast.expr) -> list[tuple[str, ast.Constant]]:
    """The strings in `Literal["a", "b"]`; empty for anything else."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Literal") | ast.Attribute(attr="Literal"), slice=inner):
            entries = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        case _:
            return []
    choices = [(one.value, one) for one in entries if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return choices if len(choices) == len(entries) else []


def _input(source: PythonSource, annotation: ast.expr) -> tuple[tuple[Expr, ...], str] | None:
    if not isinstance(annotation, ast.Constant) or not isinstance(annotation.value, str):
        return None
    if not annotation.value.lstrip().startswith(("[", ":")):
        return None
    inner = source.inner_text(annotation)
    sizes, type = run(scan(source.source, inner.start, inner.end), "annotation")
    return sizes, type


def _axes_of_formal(source: PythonSource, name: Name, annotation: ast.expr) -> tuple[Name, ...]:
    read = _input(source, annotation)
    axes = tuple(entry for entry in read[0] if isinstance(entry, Name)) if read else ()
    if read is None or not axes or len(axes) != len(read[0]):
        remedy = (f"write '{name.id}', or '{name.id}: \"[j]\"' where it is read at other indices",)
        raise PythonParameter(source.span(annotation), name.id, "is a formal, which has no type", remedy).error()
    return axes
