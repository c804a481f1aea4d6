"""The statements of a Python function -> clauses of an attention, or bindings and value of a definition."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from attnc.diagnostics import NOWHERE, Span
from attnc.diagnostics.syntax import ExtraValue, MissingExpression, OddTarget

from .binding import Part
from .builder import axis_size
from .parser import run
from .python_constructs import statement_refused
from .python_mistakes import MissingReturn, PythonConstruct, PythonResult
from .python_source import PythonSource
from .scanner import scan
from .tree import Axis, AxisItem, Clause, Expr, JoinedSize, Let, Mask, Name, Output, OutputItem, ProductSize, Require

Doc = tuple[str | None, Span]

# What the default chain calls its values, and the indices with which it would.
_ROLES = {"s": "score", "p": "normalize", "out": "aggregate"}
_USUAL_INDICES = frozenset("bhijde")


def read_attention_body(source: PythonSource) -> tuple[Doc, tuple[Clause, ...]]:
    doc, statements = _statements(source)
    body = _Body(source)
    for statement in statements:
        body.read(statement)
    return doc, tuple(body.clauses)


def read_define_body(source: PythonSource) -> tuple[Doc, tuple[tuple[Name, Expr], ...], Expr]:
    doc, statements = _statements(source)
    bindings: list[tuple[Name, Expr]] = []
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name() as target], value=value):
                bindings.append((source.name(source.span(target).start), source.expression(value)))
            case ast.Assign(targets=[target, *_]):
                remedy = "in a definition, write 'name = …'"
                raise OddTarget(source.span(target), "on the left of '='", remedy).error()
            case ast.Expr(value=ast.Call(func=ast.Name(id="mask" | "require"))):
                remedy = "a definition holds assignments and a 'return'; its caller's masks reach into it"
                raise PythonConstruct(source.span(statement), "a clause", remedy, "a definition").error()
            case ast.Return(value=value) if value is not None:
                return doc, tuple(bindings), source.expression(value)
            case _:
                raise _refused(source, statement).error()
    raise MissingReturn(source.name_of_function().span).error()


def _statements(source: PythonSource) -> tuple[Doc, list[ast.stmt]]:
    """The docstring, and the other statements up to a `return`, which must be the last."""
    first, *rest = statements = source.function.body
    doc: Doc = (None, NOWHERE)
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        doc, statements = _docstring(source, first.value, first.value.value), rest
    statements = [statement for statement in statements if not isinstance(statement, ast.Pass)]
    for statement, following in pairwise(statements):
        if isinstance(statement, ast.Return):
            raise PythonConstruct(source.span(following), "a statement after 'return'").error()
    return doc, statements


def _docstring(source: PythonSource, node: ast.Constant, value: str) -> Doc:
    """As written between the quotes, without the indentation of the function's body."""
    span = source.span(node)
    token = scan(source.source, span.start, span.end).tokens[0]
    if token.span == span and token.type in ("DOCSTRING", "STRING"):
        quote = 3 if token.type == "DOCSTRING" else 1
        value = token.text[quote:-quote]
    first, *rest = value.split("\n")
    margin = " " * node.col_offset
    return "\n".join([first, *(line.removeprefix(margin) if line.strip() else "" for line in rest)]), span


def _refused(source: PythonSource, statement: ast.stmt) -> PythonConstruct:
    if isinstance(statement, ast.Expr):
        source.expression(statement.value)
        remedy = "only 'mask(…)' and 'require(…)' stand alone; give the value a name with '='"
        return PythonConstruct(source.span(statement), "an expression by itself", remedy)
    return statement_refused(statement, source.span(statement))


class _Body:
    def __init__(self, source: PythonSource) -> None:
        self.source = source
        self.clauses: list[Clause] = []
        self.line_of_axes = 0

    def read(self, statement: ast.stmt) -> None:
        line, self.line_of_axes = self.line_of_axes, 0
        span = self.source.span(statement)
        match statement:
            case ast.AnnAssign(target=ast.Name(), value=None):
                self._axis(statement, line)
            case ast.Assign(targets=[target], value=value):
                self.clauses.append(self._let(target, value, span))
            case ast.Assign(targets=[_, second, *_]):
                remedy = "give each name a line of its own"
                raise OddTarget(self.source.span(second), "on the left of '='", remedy).error()
            case ast.AnnAssign():
                raise PythonConstruct(span, "an assignment with a type", "delete the type: it is inferred").error()
            case ast.Expr(value=ast.Call(func=ast.Name(id="mask" | "require" as word)) as call):
                self.clauses.append(self._conditions(word, call, span))
            case ast.Return(value=value):
                if value is not None:
                    self.clauses += self._results(value, span)
            case _:
                raise _refused(self.source, statement).error()

    def _axis(self, statement: ast.AnnAssign, line_before: int) -> None:
        """Neighbours over the same size share it; those of one line share the clause."""
        span = self.source.span(statement)
        name = self.source.name(self.source.span(statement.target).start)
        size = self._size(statement.annotation)
        self.line_of_axes = statement.lineno
        last = self.clauses[-1] if line_before else None
        if isinstance(last, Axis):
            before = last.items[-1]
            whole = last.span.to(span)
            if before.size == size:
                item = AxisItem((*before.names, name), size, span=before.span.to(span))
                self.clauses[-1] = Axis((*last.items[:-1], item), span=whole)
                return
            if line_before == statement.lineno:
                self.clauses[-1] = Axis((*last.items, AxisItem((name,), size, span=span)), span=whole)
                return
        self.clauses.append(Axis((AxisItem((name,), size, span=span),), span=span))

    def _size(self, node: ast.expr) -> Expr | ProductSize | JoinedSize:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            inner = self.source.inner_text(node)
            return axis_size(run(scan(self.source.source, inner.start, inner.end), "expression"))
        if not isinstance(node, ast.Dict):
            return axis_size(Part(self.source.expression(node), self.source.span(node)))
        components = []
        for key, value in zip(node.keys, node.values):
            if key is None:
                raise PythonConstruct(self.source.span(value), "'**'", "write every component out").error()
            components.append((self._component(key).id, self.source.expression(value)))
        return ProductSize(tuple(components), span=self.source.span(node))

    def _component(self, key: ast.expr) -> Name:
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier():
            return self.source.name(self.source.inner_text(key).start)
        if isinstance(key, ast.Name):
            return self.source.name(self.source.span(key).start)
        raise OddTarget(self.source.span(key), "as a component", "write '{y: rows, x: cols}'").error()

    def _let(self, target: ast.expr, value: ast.expr, span: Span) -> Let:
        place = self.source.span(target)
        indices: tuple[Name, ...] | None = None
        match target:
            case ast.Name():
                pass
            case ast.Subscript(value=ast.Name(), slice=inner):
                entries = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                indices = tuple(self._index(entry) for entry in entries)
            case _:
                raise OddTarget(place, "on the left of '='", "give each name a line of its own").error()
        name = self.source.name(place.start)
        is_usual = indices is None or {index.id for index in indices} <= _USUAL_INDICES
        role = _ROLES.get(name.id, "let") if is_usual else "let"
        return Let(role, name.id, indices, self.source.expression(value), span=span, name_span=name.span)

    def _index(self, entry: ast.expr) -> Name:
        if isinstance(entry, ast.Name):
            return self.source.name(self.source.span(entry).start)
        remedy = "write plain indices here, and read the value elsewhere as 'name[j - 1]'"
        raise OddTarget(self.source.span(entry), "on the left of '='", remedy).error()

    def _conditions(self, word: str, call: ast.Call, span: Span) -> Clause:
        if call.keywords:
            raise OddTarget(self.source.span(call.keywords[0]), f"in '{word}(…)'", f"write '{word}(condition)'").error()
        if not call.args:
            brackets = Span(span.source, self.source.span(call.func).end, self.source.span(call).end)
            raise MissingExpression(brackets).error()
        conditions = tuple(self.source.expression(one) for one in call.args)
        if word == "require":
            return Require(conditions, span=span)
        if len(conditions) > 1:
            raise ExtraValue(self.source.span(call.args[1]), "mask", "join conditions with 'and'").error()
        return Mask(conditions[0], span=span)

    def _results(self, value: ast.expr, span: Span) -> Iterator[Clause]:
        elements = value.elts if isinstance(value, ast.Tuple) else [value]
        items: list[OutputItem] = []
        for number, element in enumerate(elements):
            place = self.source.span(element)
            if isinstance(element, ast.Name):
                items.append(OutputItem(self.source.name(place.start).id, None, None, span=place))
            elif number:
                self.source.expression(element)
                raise PythonResult(place).error()
            else:
                result = self.source.expression(element)
                word = Span(span.source, span.start, span.start + len("return"))
                yield Let("aggregate", "out", None, result, span=place, name_span=word)
                items.append(OutputItem("out", None, None, span=place))
        if [item.name for item in items] != ["out"]:
            yield Output(tuple(items), span=span)
