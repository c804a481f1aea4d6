"""Loops over axes: reductions inside expressions, and nests that store values point by point."""

from __future__ import annotations

from contextlib import AbstractContextManager

from attnc.ir import Axis, Node
from attnc.ir.node import BOOL, FLOAT, INT, walk
from attnc.planning.plan import SHARES, Store

from .deposits import combine
from .emitter import Emitter, Value
from .names import literal
from .reads import locate


def reduction_loop(em: Emitter, node: Node) -> Value:
    """A reduction as loops in the current scope; the last axis is taken in lanes if none are in use."""
    if node.op == "argmax":
        return _argmax_loop(em, node)
    type = node.type
    level = em.depth
    lanes_outside = em.lane_axis is not None and em.lane_axis in node.axes
    own_lanes = em.lane_axis is None and type == FLOAT and _can_use_lanes(em, node)
    name = em.fresh("sum")
    start = literal(em.graph.neutral(node.op, type).attribute, type)
    vector = lanes_outside or own_lanes
    if vector:
        start = f"splat<T>({start})" if type == FLOAT else f"splat_longs<T>({start})"
    em.line(f"auto {name} = {start};")
    _loops(em, node, list(node.attribute), own_lanes, name)
    if own_lanes:
        fold = {"sum": "hsum", "prod": "hprod", "max": "hmax", "min": "hmin"}[node.op]
        return em.define(type, f"{fold}({name})", level)
    return Value(name, type, level, lanes_outside, lanes_outside and type == INT)


def _can_use_lanes(em: Emitter, node: Node) -> bool:
    """Lanes along the last axis: where it is a width, and nothing inside has to be scalar."""
    axis = node.attribute[-1]
    if em.constant(axis.size) is None:
        return False
    return all(not (axis in part.axes and (part.kind == "opaque" or part.op == "argmax")) for part in walk(node.body))


def _loops(em: Emitter, node: Node, axes: list[Axis], own_lanes: bool, name: str) -> None:
    if not axes:
        _accumulate(em, node, own_lanes, name)
        return
    axis = axes[0]
    if own_lanes and len(axes) == 1:
        with lane_loop(em, axis):
            _accumulate(em, node, own_lanes, name)
        return
    with counted_loop(em, axis):
        _loops(em, node, axes[1:], own_lanes, name)


def counted_loop(em: Emitter, axis: Axis) -> AbstractContextManager[None]:
    """`for` over every index of an axis."""
    index = em.fresh("i")
    bound = em.size(axis.size)
    return em.scope(f"for (int64_t {index} = 0; {index} < {bound}; ++{index})", {axis: index})


def lane_loop(em: Emitter, axis: Axis, bound: str | None = None) -> AbstractContextManager[None]:
    """`for` over an axis by vectors; the last one may be shorter, unless the size is a known multiple."""
    index = em.fresh("v")
    known = em.constant(axis.size) if bound is None else None
    end = bound if bound is not None else em.size(axis.size)
    header = f"for (int64_t {index} = 0; {index} < {end}; {index} += lanes<T>)"
    valid = None if known is not None and known % 16 == 0 else f"valid_lanes<T>({end} - {index})"
    return em.scope(header, {axis: index}, lane_axis=axis, valid=valid)


def _accumulate(em: Emitter, node: Node, own_lanes: bool, name: str) -> None:
    domain = None if node.domain.is_const(True) else em.value(node.domain)
    if domain is not None and not domain.lanes and any(part.kind == "reduce" for part in walk(node.body)):
        # sums that nobody wants are not made: of the heads of other groups, say
        within = {axis: em.coordinate(axis) for axis in node.attribute if axis is not em.lane_axis}
        with em.scope(f"if ({domain.text})", within):
            _add(em, node, own_lanes, name, None)
        return
    _add(em, node, own_lanes, name, domain)


def _add(em: Emitter, node: Node, own_lanes: bool, name: str, domain: Value | None) -> None:
    body = em.value(node.body)
    neutral = em.graph.neutral(node.op, node.type)
    lanes = own_lanes or (em.lane_axis is not None and em.lane_axis in node.axes)
    text = em.with_lanes(body, node.type == INT).text if lanes else body.text
    zero = literal(neutral.attribute, node.type)
    if lanes:
        wide_zero = f"splat<T>({zero})" if node.type == FLOAT else f"splat_longs<T>({zero})"
        masks = [em.with_lanes(domain).text] if domain is not None else []
        if own_lanes and em.valid is not None:
            masks.append(f"first_lanes<T>({em.valid})")
        if masks:
            text = f"select({' & '.join(masks)}, {text}, {wide_zero})"
    elif domain is not None:
        text = f"({domain.text} ? {text} : {zero})"
    em.line(f"{name} = {combine(node.op, name, text)};")


def _argmax_loop(em: Emitter, node: Node) -> Value:
    """The lowest index of the largest value; -1 over nothing."""
    best, place = em.fresh("best"), em.fresh("place")
    level = em.depth
    if em.lane_axis is not None and em.lane_axis in node.axes:
        return _argmax_lanes(em, node, best, place)
    em.line(f"T {best} = T(-__builtin_inf()); int64_t {place} = -1;")
    (axis,) = node.attribute
    with counted_loop(em, axis):
        body, domain = em.value(node.body), em.value(node.domain)
        index = em.coordinate(axis)
        better = f"{domain.text} && ({place} < 0 || {body.text} > {best})"
        em.line(f"if ({better}) {{ {best} = {body.text}; {place} = {index}; }}")
    return Value(place, INT, level)


def _argmax_lanes(em: Emitter, node: Node, best: str, place: str) -> Value:
    """The same for each lane. No number compares with what nothing was found for."""
    level = em.depth
    em.line(f'auto {best} = splat<T>(T(__builtin_nan(""))); auto {place} = splat_longs<T>(-1);')
    (axis,) = node.attribute
    with counted_loop(em, axis):
        body = em.with_lanes(em.value(node.body)).text
        better = em.fresh("better")
        mask = [f"~({body} <= {best})"]
        if not node.domain.is_const(True):
            mask.append(em.with_lanes(em.value(node.domain)).text)
        em.line(f"const auto {better} = {' & '.join(mask)};")
        em.line(f"{best} = select({better}, {body}, {best});")
        em.line(f"{place} = select({better}, splat_longs<T>({em.coordinate(axis)}), {place});")
    return Value(place, INT, level, True, True)


# --- stores --------------------------------------------------------------------------------------------------------


def store_value(em: Emitter, store: Store) -> None:
    """Writes a value at the current indices of the store's axes."""
    positions = tuple(em.graph.index(axis) for axis in store.axes)
    place = locate(em, store.tensor, positions)
    element = em.names.element(store.tensor)
    pointer = f"{em.names.tensor(store.tensor)} + {place.offset}"
    value = em.value(store.node)
    if em.lane_axis is None or em.lane_axis not in store.axes:
        text = value.text
        if store.tensor.origin == SHARES:
            em.line(f"*({pointer}) = {text};")
        elif store.node.type == FLOAT:
            text = f"widen<T>(*({pointer})) + {text}" if store.adds else text
            em.line(f"*({pointer}) = narrow<{element}>(T({text}));")
        else:
            em.line(f"*({pointer}) = ({element})({text});")
        return
    assert place.step is not None
    valid = em.valid
    if store.node.type != FLOAT:  # lane by lane: pairs of these are stored by results alone
        lane = em.fresh("lane")
        em.line(f"const auto {lane} = {em.with_lanes(value, store.node.type == INT).text};")
        one = f"{lane}[l] != 0" if store.node.type == BOOL else f"({element}){lane}[l]"
        em.line(f"for (int64_t l = 0; l < {valid or 'lanes<T>'}; ++l) ({pointer})[l * ({place.step})] = {one};")
        return
    text = em.with_lanes(value).text
    if place.is_unit:
        if store.adds:
            old = (
                f"load_as<T, {element}>({pointer})"
                if valid is None
                else f"load_first<T, {element}>({pointer}, {valid})"
            )
            text = f"{old} + {text}"
        call = f"store_as<{element}>({pointer}, {text})"
        em.line((call if valid is None else f"store_first<{element}>({pointer}, {valid}, {text})") + ";")
        return
    lane = em.fresh("lane")
    em.line(f"const auto {lane} = {text};")
    add = f"widen<T>(({pointer})[l * ({place.step})]) + " if store.adds else ""
    em.line(
        f"for (int64_t l = 0; l < {valid or 'lanes<T>'}; ++l) "
        f"({pointer})[l * ({place.step})] = narrow<{element}>(T({add}{lane}[l]));"
    )


def nest_body(em: Emitter, store: Store, axes: tuple[Axis, ...]) -> None:
    """Loops over the remaining axes of a store, the last one by lanes where its values are floats."""
    if not axes:
        store_value(em, store)
        return
    if len(axes) == 1 and store.node.type == FLOAT and _varies_well(em, store, axes[0]):
        with lane_loop(em, axes[0]):
            store_value(em, store)
        return
    with counted_loop(em, axes[0]):
        nest_body(em, store, axes[1:])


def _varies_well(em: Emitter, store: Store, axis: Axis) -> bool:
    """Lanes along an axis pay unless something below must be scalar."""

    def is_scalar(part: Node) -> bool:
        moved = part.kind == "at" and any(axis in position.axes for position in part.args[1:])
        return moved or (part.op == "argmax" and axis in part.axes)

    return not any(is_scalar(part) for part in walk(store.node))


__all__ = ["BOOL", "nest_body", "store_value"]
