"""What holds of any graph. Tests run it after every stage; a failure is a bug of the compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .axis import Axis
from .node import BOOL, FLOAT, INT, Node, reachable, walk
from .primitives import PRIMITIVES


def verify(results: Iterable[Node]) -> None:
    """Axes, types and operand counts of every node reachable from the results."""
    for node in reachable(list(results)):
        assert node.type in (FLOAT, INT, BOOL), node
        assert all(arg.number < node.number for arg in node.args), f"{node} uses a later node"
        assert node.axes == _expected_axes(node), f"{node} ({node.kind} {node.op}) has wrong axes"
        _CHECKS[node.kind](node)


def _expected_axes(node: Node) -> frozenset[Axis]:
    if node.kind == "index":
        return frozenset((node.attribute,))
    if node.kind == "opaque":
        axes: frozenset[Axis] = node.attribute[0]
        return axes
    if node.kind == "recur":
        recurrence, place = node.attribute
        return frozenset(recurrence.axes[place])
    if node.kind == "join":
        own = frozenset(part.own for part in node.attribute.parts)
        return (frozenset().union(*(arg.axes for arg in node.args)) - own) | {node.attribute}
    if node.kind == "at":
        inner = node.args[0].axes - frozenset(node.attribute)
        return inner.union(*(arg.axes for arg in node.args[1:]))
    return frozenset().union(*(arg.axes for arg in node.args)) - frozenset(node.bound)


def _check_leaf(node: Node) -> None:
    assert not node.args


def _check_read(node: Node) -> None:
    assert len(node.args) == len(node.attribute.sizes), f"{node}: {node.attribute.name} has another rank"
    assert all(arg.type == INT for arg in node.args), f"{node}: a position is not an integer"


def _check_map(node: Node) -> None:
    primitive = PRIMITIVES[node.op]
    assert primitive.arity in (-1, len(node.args)), f"{node}: {node.op} takes {primitive.arity}"
    if primitive.result is not None:
        assert node.type == primitive.result, f"{node}: {node.op} gives {primitive.result}"
    if node.is_sum:
        coefficients, constant = node.attribute
        assert len(coefficients) == len(node.args) and all(coefficients), node
        assert len(node.args) > 1 or coefficients[0] != 1 or constant, f"{node}: not in normal form"
        assert not any(arg.is_sum or arg.kind == "const" for arg in node.args), f"{node}: a sum in a sum"
    if node.is_product:
        assert len(node.attribute) == len(node.args) and all(node.attribute), node
        assert not any(arg.kind in ("const", "guard") for arg, e in zip(node.args, node.attribute) if e > 0), node
    if node.op in ("and", "or", "not"):
        assert all(arg.type == BOOL for arg in node.args), node


def _check_guard(node: Node) -> None:
    assert node.args[0].type == BOOL and node.args[1].type == node.type, node


def _check_at(node: Node) -> None:
    assert len(node.attribute) == len(node.args) - 1
    assert all(axis in node.args[0].axes for axis in node.attribute), node


def _check_stop(node: Node) -> None:
    assert node.args or node.kind == "opaque"


def _check_reduce(node: Node) -> None:
    assert node.op in ("sum", "prod", "max", "min", "argmax"), node.op
    assert node.domain.type == BOOL and node.attribute, node
    assert len(set(node.attribute)) == len(node.attribute), node


def _check_join(node: Node) -> None:
    assert len(node.args) == len(node.attribute.parts) > 1, node
    assert all(arg.type == node.type for arg in node.args), node


def _check_root(node: Node) -> None:
    types = (BOOL, FLOAT, node.type, node.type) if node.is_least else (FLOAT,) * 4
    assert tuple(arg.type for arg in node.args) == types, node
    own = [part for arg in node.args for part in walk(arg) if part.reads(node.attribute)]
    assert all(part.axes == node.axes for part in own), node


def _check_recur(node: Node) -> None:
    recurrence, place = node.attribute
    assert len(node.args) == len(recurrence.states) == len(recurrence.axes) > place, node
    for state, axes, value in zip(recurrence.states, recurrence.axes, node.args):
        assert recurrence.axis in axes and value.axes <= frozenset(axes), node
        assert tuple(axis.size for axis in axes) == state.sizes and value.type == state.type, node


_CHECKS: dict[str, Callable[[Node], None]] = {
    "const": _check_leaf,
    "param": _check_leaf,
    "size": _check_leaf,
    "index": _check_leaf,
    "read": _check_read,
    "map": _check_map,
    "guard": _check_guard,
    "stop": _check_stop,
    "at": _check_at,
    "reduce": _check_reduce,
    "root": _check_root,
    "recur": _check_recur,
    "join": _check_join,
    "opaque": _check_stop,
}
