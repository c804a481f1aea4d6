"""Declarations -> scope: parameters, inputs, axes and requirements, each name taken once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attnc.grammar import tree

from ..ir import Axis, Node, Tensor
from ..ir.host import is_host
from ..ir.node import INT, walk
from ..ir.roles import EXTENT
from .environment import Environment
from .expressions import condition, evaluate, together
from .meaning import InputDeclaration, ParameterDeclaration, Requirement
from .mistakes import (
    BadSize,
    IndexAsSize,
    NeverTrue,
    NotAnIndex,
    OneCondition,
    OpenRequirement,
    SizeFromTensor,
    TwiceBound,
    WrongType,
    a_type,
)
from .scope import DEFAULT_INPUTS, STANDARD_INDICES, STANDARD_SIZES, MaskEntry, Scope
from .sizes import is_never_true, size_text, upper_bound
from .value import Component, Poisoned


def declare_parameter(scope: Scope, parameter: tree.Parameter) -> None:
    scope.declare(parameter.name, parameter.span, "a parameter")
    scope.parameters[parameter.name] = ParameterDeclaration(
        parameter.name, parameter.type, parameter.modes, parameter.default, parameter.span
    )


def name_sizes(scope: Scope, attention: tree.Attention) -> None:
    """The standard sizes. An int parameter of such a name is that size; any other declaration takes the name away."""
    taken = dict.fromkeys(_declared_names(attention), True)
    parameters = {parameter.name: parameter.type for parameter in attention.parameters}
    for name in STANDARD_SIZES:
        if parameters.get(name) == "int":
            scope.sizes[name] = scope.graph.param(name, INT)
        elif name in taken:
            fresh = next(n for n in (name + "_" * k for k in range(1, 99)) if n not in taken)
            scope.sizes[name] = scope.graph.size(fresh)
        else:
            scope.size(name)


def _declared_names(attention: tree.Attention) -> list[str]:
    found = [parameter.name for parameter in attention.parameters]
    for clause in attention.clauses:
        if isinstance(clause, tree.Input):
            found += [item.name for item in clause.items]
            found += [name.id for item in clause.items for entry in item.sizes for name in names_in(entry)
                      if name.id not in STANDARD_SIZES]  # fmt: skip
        elif isinstance(clause, tree.Axis):
            found += [name.id for item in clause.items for name in item.names]
        elif isinstance(clause, tree.Let):
            found.append(clause.name)
    return found


def find_replaced_sizes(scope: Scope, clauses: tuple[tree.Clause, ...]) -> None:
    """`axis i, j: N` puts N in the place of M: then naming M is a mistake, unless an index is declared over it."""
    items = [item for clause in clauses if isinstance(clause, tree.Axis) for item in clause.items]
    over = {item.size.id for item in items if isinstance(item.size, tree.Name)}
    for item in items:
        for name in item.names:
            size = STANDARD_INDICES.get(name.id)
            if size is not None and size not in over and size not in scope.declared:
                scope.replaced[size] = (name.id, item.size.span.brief(), name.span.to(item.size.span))


def declare_size_names(scope: Scope, clauses: tuple[tree.Clause, ...]) -> None:
    """Names in the brackets of inputs are sizes, unless they are parameters."""
    axes = [item for clause in clauses if isinstance(clause, tree.Axis) for item in clause.items]
    over = {name.id: item.size.span.brief() for item in axes for name in item.names}
    over |= {index: size for index, size in STANDARD_INDICES.items() if index not in over and index not in scope.sizes}
    for clause in clauses:
        for item in clause.items if isinstance(clause, tree.Input) else ():
            names = [name for name in names_in(item.sizes) if name.id not in scope.parameters]
            wrong = [name for name in names if name.id in over]
            if wrong:
                scope.findings.add(_indices_as_sizes(item, wrong, over))
                scope.poisoned.add(item.name)
            for name in names:
                if name.id in scope.replaced and name.id not in scope.reported:
                    scope.findings.add(scope.unknown(name))
                    scope.poisoned.add(item.name)
                elif name not in wrong:
                    scope.size(name.id)


def _indices_as_sizes(item: tree.InputItem, wrong: list[tree.Name], over: Mapping[str, str]) -> IndexAsSize:
    sizes = [over.get(size.id, size.id) if isinstance(size, tree.Name) else size.span.brief() for size in item.sizes]
    spans = tuple(name.span for name in wrong)
    shape = f"{item.name}[{', '.join(sizes)}]"
    return IndexAsSize(spans[0], item.name, tuple(name.id for name in wrong), spans[1:], shape)


def names_in(expr: object) -> list[tree.Name]:
    """Every name of a value in an expression, in order of appearance; not the names of functions."""
    if isinstance(expr, tree.Name):
        return [expr]
    out: list[tree.Name] = []
    if isinstance(expr, tree.Call):
        out += names_in((expr.bracket, expr.arguments))
    elif isinstance(expr, tuple):
        for item in expr:
            out += names_in(item)
    elif isinstance(expr, tree.Node):
        for field in expr.__dataclass_fields__:
            out += names_in(getattr(expr, field))
    return out


def declare_equalities(scope: Scope, clauses: tuple[tree.Clause, ...]) -> None:
    """`require M == N` (or `D == 2 * R`) makes two sizes one before anything else is checked."""
    for clause in clauses:
        for expr in clause.conditions if isinstance(clause, tree.Require) else ():
            if isinstance(expr, tree.Compare) and len(expr.rest) == 1 and expr.rest[0][0] == "==":
                sides = (expr.first, expr.rest[0][1])
                if all(_all_sizes(scope, side) for side in sides):
                    left, right = (scope.canonical(evaluate(side, Environment(scope)).node) for side in sides)
                    if left.kind != "size":
                        left, right = right, left
                    if left.kind == "size" and right.type == INT and left not in walk(right):
                        scope.equal[left.attribute] = right


def _is_size(scope: Scope, name: tree.Name) -> bool:
    return name.id in scope.sizes and name.id not in scope.parameters


def _all_sizes(scope: Scope, expr: tree.Expr) -> bool:
    if isinstance(expr, tree.Binary):
        return _all_sizes(scope, expr.left) and _all_sizes(scope, expr.right)
    return isinstance(expr, tree.Number) or (isinstance(expr, tree.Name) and _is_size(scope, expr))


def declare_input(scope: Scope, item: tree.InputItem) -> None:
    scope.declare(item.name, item.span, "an input")
    if item.name in scope.poisoned:
        raise Poisoned
    sizes = tuple(together([partial(_input_size, scope, entry) for entry in item.sizes]))
    tensor = Tensor(item.name, sizes, item.type)
    texts = tuple(size_text(size) for size in sizes)
    spans = tuple(entry.span for entry in item.sizes)
    place = item.span.name(item.name)
    scope.inputs[item.name] = InputDeclaration(tensor, texts, place, is_default=False, size_spans=spans)


def _input_size(scope: Scope, entry: tree.Expr) -> Node:
    node = _size(scope, entry)
    tensor = next((part.attribute.name for part in walk(node) if part.kind == "read"), None)
    if tensor is not None:
        raise SizeFromTensor(entry.span, tensor).error()
    if node.axes or not is_host(node):
        raise BadSize(entry.span, "this is not known before the call").error()
    return node


def _size(scope: Scope, entry: tree.Expr) -> Node:
    """An integer, at least 1 as far as can be told."""
    value = evaluate(entry, Environment(scope))
    node = value.node
    if value.vector:
        raise WrongType(entry.span, "an integer", "a vector", "the size of an axis").error()
    if node.type != INT:
        helps: tuple[str, ...] = ()
        if isinstance(entry, tree.Binary) and entry.operator == "/":
            helps = (f"divide with '//': '{entry.left.span.brief()} // {entry.right.span.brief()}'",)
        raise WrongType(entry.span, "an integer", a_type(node.type), "the size of an axis", helps).error()
    if upper_bound(node) < 1:
        raise BadSize(entry.span, f"this is {'never positive' if node.kind != 'const' else node.attribute}").error()
    _note_divisions(scope, entry)
    return node


def _note_divisions(scope: Scope, entry: tree.Expr) -> None:
    """`//` in a size must be exact: remembered, to be checked at the call."""
    stack = [entry]
    while stack:
        expr = stack.pop()
        if isinstance(expr, tree.Call):
            stack += [argument.value for argument in expr.arguments]
        if isinstance(expr, tree.Binary):
            stack += [expr.left, expr.right]
            if expr.operator == "//":
                a, b = (evaluate(side, Environment(scope)).node for side in (expr.left, expr.right))
                if is_host(a) and is_host(b):
                    scope.exact_divisions.append((a, b, expr.span))


def declare_axis(scope: Scope, item: tree.AxisItem) -> None:
    for name in item.names:
        scope.declare(name.id, name.span, "an index")
    if isinstance(item.size, tree.ProductSize):
        _product_axis(scope, item, item.size)
    elif isinstance(item.size, tree.JoinedSize):
        _joined_axis(scope, item, item.size)
    else:
        _plain_axis(scope, item, item.size)


def _plain_axis(scope: Scope, item: tree.AxisItem, entry: tree.Expr) -> None:
    node = _size(scope, entry)
    is_ragged = not is_host(node)
    size = _extent(scope, node) if is_ragged else node
    for name in item.names:
        axis = scope.axes[name.id] = scope.graph.axis(name.id, size)
        if is_ragged:
            inside = scope.graph.compare("<", scope.graph.index(axis), node)
            scope.masks.append(MaskEntry(-1, inside, inside.axes, entry.span, ragged=axis))


def _extent(scope: Scope, size: Node) -> Node:
    """The most that a size that is read is anywhere; indices between are masked, for they do not exist."""
    for name, known in scope.extents.items():
        if known is size:
            return scope.graph.size(name)
    name = f"{EXTENT}{len(scope.extents)}"
    scope.extents[name] = size
    return scope.graph.size(name)


def _product_axis(scope: Scope, item: tree.AxisItem, size: tree.ProductSize) -> None:
    components = tuple(Component(name, _size(scope, expr)) for name, expr in size.components)
    whole = scope.graph.mul(*(one.size for one in components))
    for name in item.names:
        axis = scope.axes[name.id] = scope.graph.axis(name.id, whole)
        scope.components[axis] = components


def _joined_axis(scope: Scope, item: tree.AxisItem, size: tree.JoinedSize) -> None:
    parts: list[Axis] = []
    for part in size.parts:
        if part.id in (name.id for name in item.names):
            raise NotAnIndex(part.span, part.id, "only indices can be joined", "the joined index itself").error()
        axis = scope.axis(part.id)
        if axis is None:
            raise scope.not_an_index(part, "only indices can be joined").error()
        if axis in parts:
            raise TwiceBound(part.span, part.id, "in this joined axis", size.parts[parts.index(axis)].span).error()
        parts.append(axis)
    for name in item.names:
        scope.axes[name.id] = scope.graph.joined_axis(name.id, tuple(parts))


def lower_requirements(scope: Scope, clause: tree.Require) -> list[Requirement]:
    out = []
    for expr in clause.conditions:
        value = condition(expr, Environment(scope), "a requirement")
        if value.vector:
            raise OneCondition(expr.span, "a requirement", size_text(value.vector[-1].size)).error()
        if value.node.axes - {scope.current("b"), scope.current("h"), scope.group_axis()}:
            raise OpenRequirement(expr.span, tuple(sorted(axis.name for axis in value.node.axes))).error()
        if is_never_true(value.node, scope.graph) and not depends_on_static(scope, expr):
            raise NeverTrue(expr.span).error()
        out.append(Requirement(value.node, " ".join(expr.span.text.split()), expr.span))
    return out


def depends_on_static(scope: Scope, expr: tree.Expr) -> bool:
    """Whether it may turn out otherwise for another value of a bool or mode parameter."""
    return any(name.id in scope.parameters and scope.parameters[name.id].is_static for name in names_in(expr))


def default_input_names(scope: Scope) -> list[str]:
    """q, k, v in that order where they are default inputs that were read."""
    return [name for name in DEFAULT_INPUTS if name in scope.inputs and scope.inputs[name].is_default]
