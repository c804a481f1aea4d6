"""What Python has and a spec has not, by the kind of `ast` node: refused by its name, at its place."""

from __future__ import annotations

import ast
from collections.abc import Callable

from attnc.diagnostics import Span

from .python_mistakes import PythonConstruct

_REDUCE = "reduce over an index: 'sum[j](…)'"
_CHOOSE = "choose a value with 'x if c else y'"
_RECUR = "a value may read itself at a smaller index: 'S[j] = S[j - 1] + …'"

EXPRESSIONS: dict[type[ast.AST], tuple[str, str | None]] = {
    ast.Lambda: ("a lambda", "write a definition with '@attnc.define'"),
    ast.ListComp: ("a comprehension", _REDUCE),
    ast.SetComp: ("a comprehension", _REDUCE),
    ast.DictComp: ("a comprehension", _REDUCE),
    ast.GeneratorExp: ("a comprehension", _REDUCE),
    ast.NamedExpr: ("':='", "assign on a line of its own"),
    ast.JoinedStr: ("an f-string", None),
    ast.List: ("a list", "after 'in', write '(0, 1)'"),
    ast.Dict: ("a dict", "only the size of an axis is written '{y: rows, x: cols}'"),
    ast.Set: ("a set", "after 'in', write '(0, 1)'"),
    ast.Starred: ("'*'", "write every value out"),
    ast.Await: ("'await'", None),
    ast.Yield: ("'yield'", "give the results with 'return'"),
    ast.YieldFrom: ("'yield'", "give the results with 'return'"),
}

STATEMENTS: dict[type[ast.AST], tuple[str, str | None]] = {
    ast.For: ("a 'for' loop", f"{_REDUCE}; {_RECUR}"),
    ast.AsyncFor: ("a 'for' loop", _REDUCE),
    ast.While: ("a 'while' loop", _RECUR),
    ast.If: ("an 'if' statement", _CHOOSE),
    ast.Match: ("a 'match' statement", _CHOOSE),
    ast.With: ("a 'with' statement", None),
    ast.AsyncWith: ("a 'with' statement", None),
    ast.Try: ("a 'try' statement", None),
    ast.Raise: ("a 'raise' statement", "write a condition on the sizes as 'require(…)'"),
    ast.Assert: ("an 'assert' statement", "write 'require(…)'"),
    ast.Delete: ("a 'del' statement", None),
    ast.Import: ("an 'import' statement", None),
    ast.ImportFrom: ("an 'import' statement", None),
    ast.Global: ("a 'global' statement", None),
    ast.Nonlocal: ("a 'nonlocal' statement", None),
    ast.FunctionDef: ("another function", "put it beside this one, with '@attnc.define'"),
    ast.AsyncFunctionDef: ("another function", "put it beside this one, with '@attnc.define'"),
    ast.ClassDef: ("a class", None),
    ast.AugAssign: ("an assignment such as '+='", "a name keeps its value: give the new one a name of its own"),
    ast.Break: ("a 'break' statement", None),
    ast.Continue: ("a 'continue' statement", None),
}


def refuse_constructs(node: ast.expr, span_of: Callable[[ast.AST], Span]) -> None:
    """Raise for the first thing in an expression that only Python has; the parser of specs tells the rest."""
    found = [(span_of(inner), said) for inner in ast.walk(node) if (said := _refused(inner)) is not None]
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and span_of(inner).text[0] not in "\"'":
            found.append((span_of(inner), ("a string with a prefix", None)))
    if found:
        span, (what, remedy) = min(found, key=lambda one: (one[0].start, -one[0].end))
        raise PythonConstruct(span, what, remedy).error()


def _refused(node: ast.AST) -> tuple[str, str | None] | None:
    if type(node) in EXPRESSIONS:
        return EXPRESSIONS[type(node)]
    match node:
        case ast.Call(func=ast.Attribute()):
            return "a method call", "call the operation by its name: 'exp(x)'"
        case ast.keyword(arg=None):
            return "'**'", "write every value out"
        case ast.Constant(value=None):
            return "None", None
        case ast.Constant(value=bytes() | complex() as value):
            return ("a complex number" if isinstance(value, complex) else "a bytes string"), None
        case ast.Constant(value=value) if value is ...:
            return "'...'", "write every index, or leave trailing ones out"
    return None


def statement_refused(node: ast.stmt, span: Span) -> PythonConstruct:
    """The mistake for a statement that no spec has."""
    what, remedy = STATEMENTS.get(type(node), ("this statement", None))
    first_line = span.text.split("\n", 1)[0]
    return PythonConstruct(Span(span.source, span.start, span.start + len(first_line)), what, remedy)
