"""The dense meaning of a graph in torch: every value whole, any dtype. The oracle, and slow by design.

A value is a tensor with one dimension for each of its axes, in the order of the axes' numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from attnc.ir import Axis, Node, Tensor
from attnc.ir.axis import in_order
from attnc.ir.node import BOOL, FLOAT, INT, reachable

from .pointwise import POINTWISE, TYPED, Array, power
from .scans import rank_densely, scan_densely
from .steps import Step, one_step, other_step, recur, still


class Evaluator:
    """Evaluates nodes where sizes, parameters and tensors are known; remembers what it has computed."""

    def __init__(
        self,
        sizes: Mapping[str, int],
        parameters: Mapping[str, int | float],
        tensors: Mapping[str, Array],
        dtype: torch.dtype,
        device: torch.device | str | None = None,
    ) -> None:
        self.sizes = dict(sizes)
        self.parameters = dict(parameters)
        self.tensors = dict(tensors)
        self.dtype = dtype
        self.device = device if device is not None else next((t.device for t in tensors.values()), "cpu")
        self.done: dict[Node, Array] = {}
        self.step: Step | None = None

    def __call__(self, root: Node) -> Array:
        if self.step is not None and root not in self.done:
            for part in still([root]):
                if part not in self.done:
                    self.done[part] = one_step(self.step.outer(part), part, self.step)
        for node in self._pending(root):
            self.done[node] = _RULES[node.kind](self, node)
        return self.done[root]

    def _pending(self, root: Node) -> list[Node]:
        """What is not computed yet below a node, operands first."""
        found: set[Node] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in found and node not in self.done:
                found.add(node)
                stack.extend(() if node.kind == "recur" else node.args[2:] if node.kind == "root" else node.args)
        return sorted(found)

    def result(self, root: Node, axes: Sequence[Axis]) -> Array:
        """A value with its axes in the given order; axes that it does not depend on are expanded."""
        value = self.aligned(root, frozenset(axes) | root.axes)
        order = in_order(frozenset(axes))
        shape = [self.length(axis) for axis in order]
        return value.expand(shape).permute([order.index(axis) for axis in axes]).contiguous()

    def length(self, axis: Axis) -> int:
        return 1 if self.step is not None and axis is self.step.axis else self.integer(axis.size)

    def integer(self, size: Node) -> int:
        return size.attribute if size.kind == "const" else int(self(size))

    def aligned(self, node: Node, axes: frozenset[Axis]) -> Array:
        """The value with dimensions of size 1 where it lacks one of `axes`."""
        value = self(node)
        for place, axis in enumerate(in_order(axes)):
            if axis not in node.axes:
                value = value.unsqueeze(place)
        return value

    def operands(self, nodes: Sequence[Node]) -> list[Array]:
        axes: frozenset[Axis] = frozenset().union(*(node.axes for node in nodes))
        return [self.aligned(node, axes) for node in nodes]

    def scalar(self, value: float | bool, type: str) -> Array:
        return torch.tensor(value, dtype=_torch_type(type, self.dtype), device=self.device)


def _torch_type(type: str, dtype: torch.dtype) -> torch.dtype:
    return {FLOAT: dtype, INT: torch.int64, BOOL: torch.bool}[type]


# --- leaves --------------------------------------------------------------------------------------------------------


def _const(ev: Evaluator, node: Node) -> Array:
    return ev.scalar(node.attribute, node.type)


def _param(ev: Evaluator, node: Node) -> Array:
    return ev.scalar(ev.parameters[node.attribute], node.type)


def _size(ev: Evaluator, node: Node) -> Array:
    return ev.scalar(ev.sizes[node.attribute], INT)


def _index(ev: Evaluator, node: Node) -> Array:
    first = ev.step.number if ev.step is not None and node.attribute is ev.step.axis else 0
    return torch.arange(first, first + ev.length(node.attribute), device=ev.device)


def _read(ev: Evaluator, node: Node) -> Array:
    tensor = ev.tensors[node.attribute.name]
    tensor = tensor.to(_torch_type(node.type, ev.dtype))
    if all(arg.kind == "index" for arg in node.args) and len(node.axes) == len(node.args):
        axes = [arg.attribute for arg in node.args]
        if all(ev.length(axis) == size for axis, size in zip(axes, tensor.shape)):
            order = in_order(node.axes)
            return tensor.permute([axes.index(axis) for axis in order])
    return _gather(tensor, ev.operands(node.args), node.type)


def _gather(tensor: Array, positions: list[Array], type: str) -> Array:
    if not positions:
        return tensor
    inside = torch.ones((), dtype=torch.bool, device=tensor.device)
    clamped = []
    for position, size in zip(positions, tensor.shape):
        inside = inside & (position >= 0) & (position < size)
        clamped.append(position.clamp(0, max(size - 1, 0)))
    if tensor.numel() == 0:
        return torch.zeros(inside.shape, dtype=tensor.dtype, device=tensor.device)
    picked = tensor[tuple(clamped)]
    return torch.where(inside, picked, torch.zeros((), dtype=tensor.dtype, device=tensor.device))


# --- structure -----------------------------------------------------------------------------------------------------


def _guard(ev: Evaluator, node: Node) -> Array:
    condition = ev.aligned(node.args[0], node.axes)
    value = _product_within(ev, node.args[1], node.axes, condition) if node.type == FLOAT else None
    value = ev.aligned(node.args[1], node.axes) if value is None else value
    return torch.where(condition, value, ev.scalar(0, node.type))


def _stop(ev: Evaluator, node: Node) -> Array:
    return ev(node.args[0]).detach()


def _at(ev: Evaluator, node: Node) -> Array:
    is_other_step = ev.step is not None and ev.step.axis in node.attribute
    return moved_to(ev, node, other_step(ev, node)(node.args[0]) if is_other_step else ev(node.args[0]))


def moved_to(ev: Evaluator, node: Node, whole: Array) -> Array:
    """The value of an `at`, given that of its operand: moves the axes to the front, indexes them, and brings the new
    dimensions into order."""
    value, axes = node.args[0], node.attribute
    inner = in_order(value.axes)
    rest = [axis for axis in inner if axis not in axes]
    moved = whole.permute([inner.index(a) for a in (*axes, *rest)])
    positions = ev.operands(node.args[1:])
    clamped = [p.clamp(0, max(n - 1, 0)) for p, n in zip(positions, moved.shape)]
    picked = moved[tuple(clamped)]
    new = in_order(frozenset().union(*(arg.axes for arg in node.args[1:])))
    shared = [axis for axis in new if axis in rest]
    for axis in shared:
        picked = picked.diagonal(dim1=new.index(axis), dim2=len(new) + rest.index(axis)).movedim(-1, new.index(axis))
        rest = [other for other in rest if other is not axis]
    order = [*new, *rest]
    return picked.permute([order.index(axis) for axis in in_order(node.axes)])


def _reduce(ev: Evaluator, node: Node) -> Array:
    scanned = scan_densely(ev, node)
    if scanned is not None:
        return scanned
    if node.op == "sum" and node.type == FLOAT:
        fast = _contract(ev, node)
        if fast is not None:
            return fast
    axes = node.body.axes | node.domain.axes | frozenset(node.attribute)
    order = in_order(axes)
    shape = [ev.length(axis) for axis in order]
    domain = ev.aligned(node.domain, axes).expand(shape)
    is_cut = node.op == "sum" and node.type == FLOAT and not node.domain.is_const(True)
    body = _product_within(ev, node.body, axes, domain) if is_cut else None
    body = ev.aligned(node.body, axes).expand(shape) if body is None else body
    dims = [order.index(axis) for axis in node.attribute]
    return _REDUCTIONS[node.op](ev, body, domain, dims, node.type)


def _product_within(ev: Evaluator, node: Node, axes: frozenset[Axis], condition: Array) -> Array | None:
    """A product whose factors are 1 where it does not count: one of them may be infinite there (a quotient by 0, the
    exponential of a score less the largest of none), and derivatives by the others must be 0 and not NaN."""
    if not node.is_product:
        return None
    total = ev.scalar(1, FLOAT)
    for factor, exponent in zip(node.args, node.attribute):
        total = total * torch.where(condition, power(ev.aligned(factor, axes), exponent), ev.scalar(1, FLOAT))
    return total


def _contract(ev: Evaluator, node: Node) -> Array | None:
    """A sum of products through einsum, which never makes the whole product."""
    body = node.body
    factors = list(body.args) if body.is_product and all(e == 1 for e in body.attribute) else [body]
    if len(factors) < 2 or not frozenset(node.attribute) <= body.axes:
        return None
    arrays = [ev(factor) for factor in factors]
    if not node.domain.is_const(True):
        if not all(bool(torch.isfinite(array).all()) for array in arrays):
            return None
        arrays.append(ev(node.domain).to(ev.dtype))
        factors.append(node.domain)
    letters = {axis: chr(97 + n) for n, axis in enumerate(in_order(body.axes | node.domain.axes))}
    if len(letters) > 26:
        return None
    inputs = ["".join(letters[axis] for axis in in_order(factor.axes)) for factor in factors]
    output = "".join(letters[axis] for axis in in_order(node.axes))
    return torch.einsum(",".join(inputs) + "->" + output, *arrays)


def _sum(ev: Evaluator, body: Array, domain: Array, dims: list[int], type: str) -> Array:
    return torch.where(domain, body, ev.scalar(0, type)).sum(dims)


def _prod(ev: Evaluator, body: Array, domain: Array, dims: list[int], type: str) -> Array:
    value = torch.where(domain, body, ev.scalar(1, type))
    for dim in sorted(dims, reverse=True):
        value = value.prod(dim)
    return value


def _extreme(sign: float) -> Callable[..., Array]:
    def reduce(ev: Evaluator, body: Array, domain: Array, dims: list[int], type: str) -> Array:
        empty = ev.scalar(-sign * math.inf, FLOAT)
        value = torch.where(domain, body, empty)
        if any(value.shape[dim] == 0 for dim in dims):
            shape = [n for dim, n in enumerate(value.shape) if dim not in dims]
            return empty.expand(shape)
        for dim in sorted(dims, reverse=True):  # of equal ones the first has the derivative
            value = (value.max(dim) if sign > 0 else value.min(dim)).values
        return value

    return reduce


def _argmax(ev: Evaluator, body: Array, domain: Array, dims: list[int], type: str) -> Array:
    (dim,) = dims
    count = body.shape[dim]
    best = _extreme(1.0)(ev, body, domain, dims, type).unsqueeze(dim)
    shape = [1] * body.dim()
    shape[dim] = count
    positions = torch.arange(count, device=body.device).reshape(shape)
    missing = torch.tensor(count, device=body.device)
    if count == 0:
        return torch.full(best.squeeze(dim).shape, -1, dtype=torch.int64, device=body.device)
    found = torch.where(domain & (body == best), positions, missing).amin(dim)
    return torch.where(found == count, torch.tensor(-1, device=body.device), found)


_REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": _sum,
    "prod": _prod,
    "max": _extreme(1.0),
    "min": _extreme(-1.0),
    "argmax": _argmax,
}


def _root(ev: Evaluator, node: Node) -> Array:
    """By halves, to neighbouring numbers; then, for derivatives alone, two steps of Newton's method: the first makes
    those of one order right, the second three."""
    f, slope, low, high = node.args
    shape = [ev.length(axis) for axis in in_order(node.axes)]
    below, above = (ev.aligned(bound, node.axes).detach().expand(shape).clone() for bound in (low, high))

    still = {part: ev(part) for arg in (f, slope) for part in _still(arg, node.attribute)}

    def at(t: Array, part: Node) -> Array:
        inner = Evaluator(ev.sizes, ev.parameters, {**ev.tensors, node.attribute.name: t}, ev.dtype, ev.device)
        inner.done = dict(still)
        inner.step = ev.step
        return inner.aligned(part, node.axes).expand(shape)

    if node.is_least:
        with torch.no_grad():
            return _least(lambda t: at(t, f), below, above)
    with torch.no_grad():
        rises = bool((at(below, slope) >= 0).all() and (at(above, slope) >= 0).all())
        for _ in range(2000):
            middle = below + (above - below) / 2
            if bool(((middle <= below) | (middle >= above)).all()):
                break
            right = (at(middle, f) >= 0) == rises
            above = torch.where(right, middle, above)
            below = torch.where(right, below, middle)
    t = above
    for _ in range(2):
        rate = at(t, slope)
        step = at(t, f) / torch.where(rate == 0, torch.ones_like(rate), rate)
        step = torch.where(rate == 0, torch.zeros_like(step), step)
        t = t - (step - step.detach())
    return t


def _still(root: Node, unknown: Tensor) -> set[Node]:
    """The largest parts that do not read an unknown."""
    moving: set[Node] = set()
    for node in reachable([root]):
        if node.reads(unknown) or any(arg in moving for arg in node.args):
            moving.add(node)
    if root not in moving:
        return {root}
    opened = [node for node in reachable([root]) if node in moving and node.kind != "root"]
    inner = {arg for node in moving if node.kind == "root" for arg in node.args[:2]}
    hidden = set(reachable(list(inner)))
    found = {arg for node in opened if node not in hidden for arg in node.args if arg not in moving}
    return found | {arg for node in moving if node.kind == "root" for arg in node.args[2:] if arg not in moving}


_BITS = {
    torch.float64: torch.int64,
    torch.float32: torch.int32,
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
}


def _least(holds: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """By halves of the numbers in order, whose bits count them."""
    bits = _BITS.get(low.dtype)

    def keys(values: Array) -> Array:
        return _in_order(values.view(bits)) if bits is not None else values

    def numbers(found: Array) -> Array:
        return _in_order(found).view(low.dtype) if bits is not None else found

    below, above = keys(low), keys(high)
    while bool((below < above).any()):
        middle = (below & above) + ((below ^ above) >> 1)
        right = holds(numbers(middle)) | (below >= above)
        below, above = torch.where(right, below, middle + 1), torch.where(right & (below < above), middle, above)
    return numbers(above)


def _in_order(bits: Array) -> Array:
    """The bits of floating numbers as integers in the same order, and back."""
    return torch.where(bits < 0, bits ^ torch.iinfo(bits.dtype).max, bits)


def _opaque(ev: Evaluator, node: Node) -> Array:
    from attnc.analysis.support import NotLowered

    raise NotLowered(node.span, node.attribute[1]).error()


# --- pointwise -----------------------------------------------------------------------------------------------------


def _map(ev: Evaluator, node: Node) -> Array:
    args = ev.operands(node.args)
    if node.is_sum:
        coefficients, constant = node.attribute
        total = args[0] * coefficients[0] if coefficients[0] != 1 else args[0]
        for coefficient, arg in zip(coefficients[1:], args[1:]):
            total = total + (arg * coefficient if coefficient != 1 else arg)
        return total + constant if constant else total
    if node.is_product:
        total = power(args[0], node.attribute[0])
        for arg, exponent in zip(args[1:], node.attribute[1:]):
            total = total * power(arg, exponent)
        return total
    return POINTWISE[node.op](*args) if node.op not in TYPED else TYPED[node.op](ev, *args)


_RULES: dict[str, Callable[[Evaluator, Node], Any]] = {
    "const": _const,
    "param": _param,
    "size": _size,
    "index": _index,
    "read": _read,
    "map": _map,
    "guard": _guard,
    "stop": _stop,
    "at": _at,
    "reduce": _reduce,
    "root": _root,
    "scan": rank_densely,
    "recur": recur,
    "opaque": _opaque,
}
