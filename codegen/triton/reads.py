"""Reads and stores: a 64-bit base for what is scalar, 32-bit offsets within the tile; 0 outside, proved or guarded."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.analysis.intervals import is_in_range
from attnc.ir import Axis, Node, Tensor
from attnc.ir.node import BOOL, FLOAT, INT
from attnc.planning.plan import Store

from ..names import identifier
from .emitter import Emitter, Value
from .names import literal


@dataclass(frozen=True)
class Place:
    """Where elements lie: pointers with these dimensions, the masks of those that exist, and the scope that knows."""

    pointer: str
    dims: tuple[Axis, ...]
    masks: tuple[str, ...]
    level: int


def read(em: Emitter, node: Node) -> Value:
    """A read as a number, a wide integer or a condition."""
    raw = read_raw(em, node)
    dtype = em.names.dtype(node.attribute)
    if node.type == BOOL:
        return em.define(Value(f"({raw.text} != 0)", BOOL, raw.dims, raw.level))
    if node.type == INT:
        if dtype == "int64":
            return Value(raw.text, INT, raw.dims, raw.level, True)
        return em.define(Value(f"tl.cast({raw.text}, tl.int64)", INT, raw.dims, raw.level, True))
    if dtype == ("float64" if em.names.compute == "double" else "float32"):
        return raw
    return em.define(Value(f"tl.cast({raw.text}, {em.names.float})", FLOAT, raw.dims, raw.level))


def read_raw(em: Emitter, node: Node) -> Value:
    """A read as it lies in memory, loaded at most once in its scope."""
    for scope in reversed(em.scopes):
        if node in scope.raw:
            return scope.raw[node]
        if scope.fixes(node.axes):
            break
    place = locate(em, node.attribute, node.args)
    value = em.define(
        Value(load(place, node.type), node.type, place.dims, place.level),
        identifier(node.attribute.name),
    )
    em.scopes[value.level].raw[node] = value
    return value


def load(place: Place, type: str) -> str:
    if not place.masks:
        return f"tl.load({place.pointer})"
    other = "0.0" if type == FLOAT else "0"
    return f"tl.load({place.pointer}, mask={' & '.join(place.masks)}, other={other})"


def store(em: Emitter, place: Place, text: str) -> None:
    mask = f", mask={' & '.join(place.masks)}" if place.masks else ""
    em.line(f"tl.store({place.pointer}, {text}{mask})")


def store_value(em: Emitter, item: Store) -> None:
    """Writes (or, where another store came first, adds) a value at the current indices of the store's axes."""
    place = locate(em, item.tensor, tuple(em.graph.index(axis) for axis in item.axes))
    value = em.value(item.node)
    text = em.full(value, place.dims) if place.dims else value.text
    if item.adds:
        text = f"{text} + tl.cast({load(place, FLOAT)}, {em.names.float})"
    store(em, place, text)


def locate(em: Emitter, tensor: Tensor, positions: tuple[Node, ...]) -> Place:
    """The place of elements at these positions."""
    bases: list[str] = []
    offsets: list[tuple[str, tuple[Axis, ...]]] = []
    inside: list[tuple[str, tuple[Axis, ...]]] = []
    level = 0
    values = [em.value(position) for position in positions]
    dims = em.union(*(value.dims for value in values))
    for dim, (position, value) in enumerate(zip(positions, values)):
        size = tensor.sizes[dim]
        level = max(level, value.level)
        stride = em.names.stride(tensor, dim)
        if not is_in_range(em.graph, position, size):
            inside.append((f"({value.text} >= 0)", value.dims))
            inside.append((f"({value.text} < {em.size(size)})", value.dims))
        if not value.dims:
            bases.append(
                _times(f"tl.cast({value.text}, tl.int64)" if not _is_number(value.text) else value.text, stride)
            )
            continue
        affine = _affine(em, position)
        if affine is None:
            offsets.append((_times(em.cast_wide(value), stride), value.dims))
            continue
        scalar, local = affine
        if scalar != "0":
            bases.append(_times(f"tl.cast({scalar}, tl.int64)" if not _is_number(scalar) else scalar, stride))
        if stride != "1":
            em.names.stride(tensor, dim, in_tile=True)
        offsets += [(_times(_times(text, str(c)), stride), (axis,)) for axis, text, c in local]
    base = " + ".join([em.names.tensor(tensor), *(text for text in bases if text != "0")])
    if base != em.names.tensor(tensor) and offsets:
        base = em.define(Value(base, INT, (), _base_level(em, positions, values)), "base").text
    parts = [em.spread(Value(f"({text})" if " " in text else text, INT, own), dims) for text, own in offsets]
    masks = [em.spread(Value(text, BOOL, own), dims) for text, own in inside]
    checks = [*em.valid(dims, dims), *masks]
    if checks and dims and not any(own for _, own in inside) and len(checks) == len(masks):
        checks = [f"tl.full({em.shape(dims)}, {' & '.join(checks)}, tl.int1)"]  # of no dimensions till now
    return Place(" + ".join([base, *parts]), dims, tuple(checks), level)


def _base_level(em: Emitter, positions: tuple[Node, ...], values: list[Value]) -> int:
    """Where the scalar part of a place is known."""
    return max((value.level for value in values), default=0)


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _times(text: str, factor: str) -> str:
    if text == "0" or factor == "1":
        return text
    return factor if text == "1" else f"{text} * {factor}"


def _affine(em: Emitter, position: Node) -> tuple[str, list[tuple[Axis, str, int]]] | None:
    """(scalar part, (axis, index within its block, coefficient) for each block) of a linear form in blocks' indices."""
    terms = dict(zip(position.args, position.attribute[0])) if position.is_sum else {position: 1}
    scalars = [str(position.attribute[1])] if position.is_sum and position.attribute[1] else []
    local: list[tuple[Axis, str, int]] = []
    for term, coefficient in terms.items():
        block = em.block(term.attribute) if term.kind == "index" else None
        if block is not None:
            local.append((term.attribute, block.local, coefficient))
            if block.start != "0":
                scalars.append(_times(block.start, str(coefficient)))
            continue
        value = em.value(term)
        if value.dims:
            return None
        scalars.append(_times(value.text, str(coefficient)))
    text = " + ".join(scalars) if scalars else "0"
    return (f"({text})" if len(scalars) > 1 else text), local


__all__ = ["Place", "literal", "load", "locate", "read", "read_raw", "store", "store_value"]
