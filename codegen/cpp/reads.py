"""Reads of tensors: consecutive, strided or gathered along the lanes; 0 outside, proved or guarded."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.analysis.intervals import is_in_range
from attnc.ir import Axis, Node, Tensor
from attnc.ir.node import BOOL, FLOAT, INT

from .emitter import Emitter, Value
from .names import literal


@dataclass(frozen=True)
class Place:
    """Where a read goes: a scalar offset for lane 0, the step from lane to lane (None: each lane its own `offsets`),
    and the conditions that were not proved."""

    offset: str
    step: str | None
    is_unit: bool
    offsets: str | None
    inside: tuple[str, ...]
    inside_lanes: tuple[str, ...]
    level: int


def read(em: Emitter, node: Node) -> Value:
    tensor: Tensor = node.attribute
    place = locate(em, tensor, node.args)
    lanes = place.step is not None or place.offsets is not None
    base = f"{em.names.tensor(tensor)} + {place.offset}"
    element = em.names.element(tensor)
    if not lanes:
        loaded = _scalar_load(node, base, element)
        if place.inside:
            loaded = f"({' && '.join(place.inside)} ? {loaded} : {literal(0, node.type)})"
        return em.define(node.type, loaded, place.level)
    text = _vector_load(em, node, place, base, element)
    if node.type == BOOL:
        return em.define(BOOL, f"({text} != 0)", place.level, lanes=True)
    wide = node.type == INT and not tensor.is_small
    return em.define(node.type, text, place.level, lanes=True, wide=wide)


def _scalar_load(node: Node, base: str, element: str) -> str:
    if node.type == FLOAT:
        return f"widen<T>(*({base}))"
    return f"(*({base}) != 0)" if node.type == BOOL else f"int64_t(*({base}))"


def _vector_load(em: Emitter, node: Node, place: Place, base: str, element: str) -> str:
    """The load that fits: all lanes, the first few, with a stride, or from anywhere."""
    kind = {FLOAT: "", INT: "_ints" if node.attribute.is_small else "_longs", BOOL: "_ints"}[node.type]
    names = f"<T, {element}>"
    valid = em.valid
    if place.offsets is None and not place.inside and not place.inside_lanes:
        if place.is_unit:
            load = "load_as" if node.type == FLOAT else f"load{kind}"
            first = "load_first" if node.type == FLOAT else f"load{kind}_first"
            return f"{load}{names}({base})" if valid is None else f"{first}{names}({base}, {valid})"
        if valid is None:
            strided = "load_strided" if node.type == FLOAT else f"load{kind}_strided"
            return f"{strided}{names}({base}, {place.step})"
    mask = _mask(em, place)
    offsets = place.offsets or f"(iota_longs<T>() * int64_t({place.step}))"
    return f"gather{kind}{names}({base}, {offsets}, {mask})"


def _mask(em: Emitter, place: Place) -> str:
    parts = list(place.inside_lanes)
    if place.inside:
        parts.append(f"splat_ints<T>(-(int32_t)({' && '.join(place.inside)}))")
    if em.valid is not None:
        parts.append(f"first_lanes<T>({em.valid})")
    return " & ".join(parts) if parts else "splat_ints<T>(-1)"


def locate(em: Emitter, tensor: Tensor, positions: tuple[Node, ...]) -> Place:
    """The place of an element: positions times strides, split into what is scalar and what varies along the lanes."""
    scalars: list[str] = []
    steps: list[str] = []
    offsets: list[str] = []
    inside: list[str] = []
    inside_lanes: list[str] = []
    level = 0
    is_unit = True
    for dim, (position, size) in enumerate(zip(positions, tensor.sizes)):
        value = em.value(position)
        level = max(level, value.level)
        stride = stride_of(em, tensor, dim)
        proved = is_in_range(em.graph, position, size)
        if not proved:
            bound = em.size(size)
            if value.lanes:
                wide = em.with_lanes(value, True)
                inside_lanes.append(f"to_ints<T>(({wide.text} >= int64_t(0)) & ({wide.text} < {bound}))")
            else:
                inside.append(f"({value.text} >= 0 && {value.text} < {bound})")
        if not value.lanes:
            scalars.append(f"{value.text} * {stride}" if stride != "1" else value.text)
            continue
        affine = _affine(em, position)
        if affine is None:
            offsets.append(f"{em.with_lanes(value, True).text} * int64_t({stride})")
            continue
        scalar, coefficient = affine
        scalars.append(f"({scalar}) * {stride}" if stride != "1" else f"({scalar})")
        steps.append(stride if coefficient == 1 else f"{coefficient} * {stride}")
        is_unit = is_unit and coefficient == 1 and stride == "1"
    offset = " + ".join(scalars) or "0"
    step = " + ".join(steps) if steps else None
    gathered = None
    if offsets:
        if step is not None:
            offsets.append(f"iota_longs<T>() * int64_t({step})")
        gathered = "(" + " + ".join(offsets) + ")"
        step = None
    return Place(offset, step, is_unit and len(steps) == 1, gathered, tuple(inside), tuple(inside_lanes), level)


def _affine(em: Emitter, position: Node) -> tuple[str, int] | None:
    """(position of lane 0, step) where the position is a linear form in the lane's index."""
    axis = em.lane_axis
    assert axis is not None
    own = em.graph.index(axis)
    if position is own:
        return em.coordinate(axis), 1
    if not position.is_sum:
        return None
    coefficients = dict(zip(position.args, position.attribute[0]))
    if own not in coefficients or any(axis in term.axes for term in coefficients if term is not own):
        return None
    parts = [f"int64_t({c}) * {em.value(t).text}" for t, c in coefficients.items() if t is not own]
    lead = f"int64_t({coefficients[own]}) * ({em.coordinate(axis)})"
    return " + ".join([lead, *parts, str(position.attribute[1])]), coefficients[own]


def stride_of(em: Emitter, tensor: Tensor, dim: int) -> str:
    """The stride of a dimension as text; temporaries are contiguous."""
    name = em.names.tensor(tensor)
    if tensor.name not in em.names.temporaries:
        is_last = dim == len(tensor.sizes) - 1
        return "1" if is_last and em.names.is_unit_last(tensor) else f"{name}_s{dim}"
    if dim == len(tensor.sizes) - 1:
        return "1"
    return f"{name}_s{dim}"


def lane_axis_of(axes: tuple[Axis, ...]) -> Axis | None:
    return axes[-1] if axes else None
