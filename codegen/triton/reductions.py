"""Reductions inside expressions: over features as blocks, over longer axes as loops of blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attnc.ir import Axis, Node
from attnc.ir.node import BOOL, FLOAT, INT

from .emitter import Block, Emitter, Value
from .names import literal

_FOLDS = {"sum": "tl.sum({0}, {1})", "max": "tl.max({0}, {1})", "min": "tl.min({0}, {1})"}
_STEPS = {
    "sum": "{0} + {1}",
    "total": "{0} + {1}",
    "prod": "{0} * {1}",
    "max": "tl.maximum({0}, {1})",
    "min": "tl.minimum({0}, {1})",
}
_LONG_BLOCK = 64


def fold(op: str, text: str, place: int) -> str:
    """A block reduced along one of its dimensions."""
    if op == "prod":
        return f"tl.reduce({text}, {place}, multiply)"
    if op == "total":
        return f"tl.cast(tl.sum({text}, {place}), tl.float64)"
    return _FOLDS[op].format(text, place)


def combine(op: str, left: str, right: str) -> str:
    """Two partial results as one."""
    return _STEPS[op].format(left, right)


def neutral(em: Emitter, op: str, type: str) -> str:
    value = em.graph.neutral(op, type).attribute
    if type == INT and abs(value) >= 1 << 62:
        value = (1 << 62) * (1 if value > 0 else -1)
    return literal(value, type)


def reduction(em: Emitter, node: Node) -> Value:
    """A reduction in the current scope."""
    assert node.op != "argmax" or len(node.attribute) == 1, "argmax over several axes"
    if node.op == "argmax":
        return _argmax(em, node)
    level = em.depth
    dims = em.union(tuple(axis for axis in node.axes if em.block(axis) is not None))
    blocked = _blocked(em, node, dims)
    total = em.fresh(node.op)
    em.line(f"{total} = {start(em, node.op, node.type, dims)}")
    axes = [axis for axis in node.attribute if axis not in blocked] + list(blocked)

    def add() -> None:
        text = _folded(em, node, dims, blocked)
        em.line(f"{total} = {combine(node.op, total, text)}")

    over(em, axes, frozenset(blocked), add)
    return Value(total, node.type, dims, level, node.type == INT)


def start(em: Emitter, op: str, type: str, dims: tuple[Axis, ...]) -> str:
    """The result over nothing, of the given dimensions."""
    kind = em.names.float if type == FLOAT else "tl.int64"
    return f"tl.full({em.shape(dims)}, {neutral(em, op, type)}, {kind})"


def _blocked(em: Emitter, node: Node, dims: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The last reduced axis as blocks, where tiles stay of two dimensions and the body is spelt over blocks."""
    from attnc.ir.node import walk

    if len(dims) > 1 or any(part.op == "argmax" for part in walk(node.body)):
        return ()
    axis = node.attribute[-1]
    grouped = any(part.kind == "at" and any(axis in p.axes for p in part.args[1:]) for part in walk(node.body))
    return () if grouped else (axis,)


def over(em: Emitter, axes: list[Axis], blocked: frozenset[Axis], body: Callable[[], None]) -> None:
    """Goes through every index of the axes: one by one, or block by block."""
    if not axes:
        body()
        return
    axis = axes[0]
    known = em.names.constant(axis.size)
    if axis in blocked and known is not None:
        for part in em.names.parts(axis):
            with em.part(axis, part):
                over(em, axes[1:], blocked, body)
        return
    index, size = em.fresh("i"), em.size(axis.size)
    if axis not in blocked:
        with em.loop(f"for {index}_ in range(0, {size}):", {axis: index}):
            em.line(f"{index} = tl.cast({index}_, tl.int32)")
            over(em, axes[1:], blocked, body)
        return
    with em.loop(f"for {index}_ in range(0, {size}, {_LONG_BLOCK}):", {}):
        em.line(f"{index} = tl.cast({index}_, tl.int32)")
        local = em._arange(_LONG_BLOCK)
        em.line(f"{index}_valid = {index} + {local} < {size}")
        em.fix_block(axis, Block(index, local, str(_LONG_BLOCK), f"{index}_valid"))
        over(em, axes[1:], blocked, body)


def _folded(em: Emitter, node: Node, dims: tuple[Axis, ...], blocked: tuple[Axis, ...]) -> str:
    inner = em.union(dims, blocked)
    text = masked(em, node.op, node.body, node.domain, inner, blocked)
    for axis in blocked:
        text = fold(node.op, text, inner.index(axis))
    return text


def masked(
    em: Emitter, op: str, body: Node, domain: Node | None, dims: tuple[Axis, ...], checked: tuple[Axis, ...]
) -> str:
    """A value at all `dims`, neutral where the domain does not hold or an index of `checked` does not exist."""
    value = em.value(body)
    if op in ("max", "min") and value.type == INT:
        value = replace(value, text=em.cast_wide(value))
    masks = em.valid(dims, checked)
    if domain is not None and not domain.is_const(True):
        masks.append(em.spread(em.value(domain), dims))
    text = em.full(value, dims)
    if not masks:
        return text
    return f"tl.where({' & '.join(masks)}, {text}, {neutral(em, op, body.type)})"


def _argmax(em: Emitter, node: Node) -> Value:
    """The lowest index of the largest value; -1 over nothing."""
    (axis,) = node.attribute
    level = em.depth
    dims = em.union(tuple(a for a in node.axes if em.block(a) is not None))
    best, found = em.fresh("best"), em.fresh("place")
    em.line(f"{best} = {start(em, 'max', FLOAT, dims)}")
    em.line(f"{found} = tl.full({em.shape(dims)}, -1, tl.int64)")

    def add() -> None:
        value = em.spread(em.value(node.body), dims)
        better = f"({found} < 0) | ({value} > {best})"
        if not node.domain.is_const(True):
            better = f"{em.spread(em.value(node.domain), dims)} & ({better})"
        name = em.fresh("better")
        em.line(f"{name} = {better}")
        em.line(f"{best} = tl.where({name}, {value}, {best})")
        em.line(f"{found} = tl.where({name}, tl.cast({em.coordinate(axis)}, tl.int64), {found})")

    over(em, [axis], frozenset(), add)
    return Value(found, INT, dims, level, True)


__all__ = ["BOOL", "combine", "fold", "masked", "neutral", "over", "reduction", "start"]
