"""Declarations -> scope: parameters, inputs, axes and requirements, each name taken once."""

from __future__ import annotations

from dataclasses import replace

from attnc.grammar import tree

from ..ir import Axis, Node, Tensor
from ..ir.node import BOOL, INT
from .environment import Environment
from .expressions import condition, evaluate
from .meaning import InputDeclaration, ParameterDeclaration, Requirement
from .mistakes import Wrong, WrongType, a_type
from .scope import DEFAULT_INPUTS, STANDARD_INDICES, Scope


def declare_parameter(scope: Scope, parameter: tree.Parameter) -> None:
    scope.declare(parameter.name, parameter.span, "a parameter")
    scope.parameters[parameter.name] = ParameterDeclaration(
        parameter.name, parameter.type, parameter.modes, parameter.default, parameter.span
    )


def declare_size_names(scope: Scope, clauses: tuple[tree.Clause, ...]) -> None:
    """Names in the brackets of inputs are sizes, unless they are parameters."""
    indices = {name.id for clause in clauses if isinstance(clause, tree.Axis) for item in clause.items for name in item.names}
    for clause in clauses:
        for item in clause.items if isinstance(clause, tree.Input) else ():
            for entry in item.sizes:
                for name in names_in(entry):
                    if name.id in scope.parameters or name.id in ("ceildiv", "max", "min"):
                        continue
                    _refuse_index_as_size(scope, item, name, indices)
                    scope.size(name.id)


def _refuse_index_as_size(scope: Scope, item: tree.InputItem, name: tree.Name, indices: set[str]) -> None:
    is_index = name.id in indices or name.id in STANDARD_INDICES and name.id not in scope.sizes
    if is_index:
        size = STANDARD_INDICES.get(name.id)
        helps = (f"write its size: '{size}'",) if size else ()
        title = f"the axes of '{item.name}' are declared by sizes, but '{name.id}' is an index"
        raise Wrong("index-as-size", title, name.span, helps=helps).error()


def names_in(expr: tree.Expr | tree.Slice) -> list[tree.Name]:
    """Every name in an expression, in order of appearance."""
    if isinstance(expr, tree.Name):
        return [expr]
    out: list[tree.Name] = []
    for field in expr.__dataclass_fields__:
        child = getattr(expr, field)
        for item in child if isinstance(child, tuple) else (child,):
            item = item.value if isinstance(item, tree.Argument) else item
            if isinstance(item, tree.Node):
                out += names_in(item)  # type: ignore[arg-type]
    return out


def declare_equalities(scope: Scope, clauses: tuple[tree.Clause, ...]) -> None:
    """`require M == N` (or `D == 2 * R`) makes two sizes one before anything else is checked."""
    for clause in clauses:
        for expr in clause.conditions if isinstance(clause, tree.Require) else ():
            if isinstance(expr, tree.Compare) and len(expr.rest) == 1 and expr.rest[0][0] == "==":
                left, right = expr.first, expr.rest[0][1]
                if isinstance(left, tree.Name) and _is_size(scope, left) and _all_sizes(scope, right):
                    value = scope.canonical(evaluate(right, Environment(scope)).node)
                    mine = scope.canonical(scope.size(left.id))
                    if mine is not value and mine.kind == "size":
                        scope.equal[mine.attribute] = value


def _is_size(scope: Scope, name: tree.Name) -> bool:
    return name.id in scope.sizes and name.id not in scope.parameters


def _all_sizes(scope: Scope, expr: tree.Expr) -> bool:
    if isinstance(expr, tree.Binary):
        return _all_sizes(scope, expr.left) and _all_sizes(scope, expr.right)
    return isinstance(expr, tree.Number) or isinstance(expr, tree.Name) and _is_size(scope, expr)


def declare_inputs(scope: Scope, clause: tree.Input) -> None:
    from .sizes import size_text

    for item in clause.items:
        scope.declare(item.name, item.span, "an input")
        sizes = tuple(_size(scope, entry) for entry in item.sizes)
        tensor = Tensor(item.name, sizes, item.type)
        texts = tuple(size_text(size) for size in sizes)
        scope.inputs[item.name] = InputDeclaration(tensor, texts, item.span, is_default=False)


def _size(scope: Scope, entry: tree.Expr) -> Node:
    node = evaluate(entry, Environment(scope)).node
    if node.type != INT or node.axes:
        raise WrongType(entry.span, "an integer", a_type(node.type), "the size of an axis").error()
    if node.kind == "const" and node.attribute < 1:
        raise Wrong("bad-size", "an axis needs a size of at least 1", entry.span).error()
    _note_divisions(scope, entry)
    return node


def _note_divisions(scope: Scope, entry: tree.Expr) -> None:
    """`//` in a size must be exact: remembered, to be checked at the call."""
    stack = [entry]
    while stack:
        expr = stack.pop()
        if isinstance(expr, tree.Binary):
            stack += [expr.left, expr.right]
            if expr.operator == "//":
                a, b = (evaluate(side, Environment(scope)).node for side in (expr.left, expr.right))
                if not a.axes and not b.axes and not _reads(a) and not _reads(b):
                    scope.exact_divisions.append((a, b, expr.span))


def _reads(node: Node) -> bool:
    from ..ir.node import walk

    return any(part.kind in ("read", "opaque") for part in walk(node))


def declare_axes(scope: Scope, clause: tree.Axis) -> None:
    for item in clause.items:
        for name in item.names:
            scope.declare(name.id, name.span, "an index")
        if isinstance(item.size, tree.ProductSize):
            _product_axis(scope, item, item.size)
        elif isinstance(item.size, tree.JoinedSize):
            _joined_axis(scope, item, item.size)
        else:
            _plain_axis(scope, item, item.size)


def _plain_axis(scope: Scope, item: tree.AxisItem, entry: tree.Expr) -> None:
    value = evaluate(entry, Environment(scope))
    if value.node.type != INT:
        raise WrongType(entry.span, "an integer", a_type(value.node.type), "the size of an axis").error()
    if value.node.kind == "const" and value.node.attribute < 1:
        raise Wrong("bad-size", "an axis needs a size of at least 1", entry.span).error()
    _note_divisions(scope, entry)
    ragged = bool(value.node.axes) or _reads(value.node)
    for name in item.names:
        construct = "a ragged axis" if ragged else None
        scope.axes[name.id] = scope.graph.axis(name.id, value.node, construct=construct)


def _product_axis(scope: Scope, item: tree.AxisItem, size: tree.ProductSize) -> None:
    names = [name for name, _ in size.components]
    if len(set(names)) < len(names):
        raise Wrong("duplicate-name", "two components have one name", item.span).error()
    whole = scope.graph.mul(*(_size(scope, expr) for _, expr in size.components))
    for name in item.names:
        axis = scope.graph.axis(name.id, whole, construct="a product axis")
        scope.axes[name.id] = axis
        scope.components[axis] = tuple(names)


def _joined_axis(scope: Scope, item: tree.AxisItem, size: tree.JoinedSize) -> None:
    parts: list[Axis] = []
    for part in size.parts:
        axis = scope.axis(part.id)
        if axis is None:
            raise Wrong("not-an-index", f"'{part.id}' is not an index", part.span, "only indices are joined").error()
        parts.append(axis)
    whole = scope.graph.add(*(axis.size for axis in parts))
    for name in item.names:
        axis = scope.graph.axis(name.id, whole, construct="a joined axis")
        scope.axes[name.id] = axis
        scope.parts[axis] = tuple(parts)


def lower_requirements(scope: Scope, clause: tree.Require) -> list[Requirement]:
    out = []
    for expr in clause.conditions:
        value = condition(expr, Environment(scope), "a requirement")
        if value.node.type != BOOL or value.node.axes - {scope.current("b"), scope.current("h")}:
            free = ", ".join(sorted(axis.name for axis in value.node.axes))
            helps = (f"say for which: 'all[{free}](…)'",)
            raise Wrong("open-requirement", f"this requirement depends on '{free}'", expr.span, helps=helps).error()
        if value.node.is_const(False):
            raise Wrong("never-true", "this requirement can never hold", expr.span).error()
        out.append(Requirement(value.node, expr.span.text, expr.span))
    return out


def refuse_replaced_size(scope: Scope, clauses: tuple[tree.Clause, ...]) -> None:
    """`axis i, j: N` replaces M: then naming M is a mistake, unless an input declares it."""
    for index, size in STANDARD_INDICES.items():
        axis = scope.axes.get(index)
        used = {s for declared in scope.inputs.values() for s in declared.size_texts}
        if axis is None or axis.size is scope.graph.size(size) or index not in scope.declared:
            continue
        others = [a for a in scope.axes.values() if a.size is scope.graph.size(size)]
        if not others and size not in used:
            scope.sizes.pop(size, None)


def default_input_names(scope: Scope) -> list[str]:
    """q, k, v in that order where they are default inputs that were read."""
    return [name for name in DEFAULT_INPUTS if name in scope.inputs and scope.inputs[name].is_default]


__all__ = ["replace"]
