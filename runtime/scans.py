"""Scans in the dense meaning: carried along their axis, rather than taken anew for every index."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from attnc.ir import Node
from attnc.ir.axis import in_order
from attnc.ir.scans import find_scan

from .pointwise import Array

if TYPE_CHECKING:
    from .reference import Evaluator

_NEUTRAL = {"sum": 0, "max": -math.inf, "min": math.inf}


def scan_densely(ev: Evaluator, node: Node) -> Array | None:
    """A reduction up to an index of its own axis; None for any other."""
    scan = find_scan(node)
    if scan is None or ev.length(scan.axis) == 0 or (ev.step is not None and ev.step.axis is scan.axis):
        return None
    axes = node.body.axes.union({scan.inner}, *(condition.axes for condition in scan.conditions))
    order = in_order(axes)
    shape, dim = [ev.length(axis) for axis in order], order.index(scan.inner)
    nothing = ev.scalar(_NEUTRAL[node.op], node.type)
    value = ev.aligned(node.body, axes)
    for condition in scan.conditions:
        value = torch.where(ev.aligned(condition, axes), value, nothing)
    value = value.expand(shape).flip(dim) if scan.is_reverse else value.expand(shape)
    if scan.is_exclusive:
        first = nothing.expand([*shape[:dim], 1, *shape[dim + 1 :]])
        value = torch.cat([first, value.narrow(dim, 0, shape[dim] - 1)], dim)
    if node.op == "sum":
        value = value.cumsum(dim)
    else:
        value = (value.cummax(dim) if node.op == "max" else value.cummin(dim)).values
    value = value.flip(dim) if scan.is_reverse else value
    named = [scan.axis if axis is scan.inner else axis for axis in order]
    return value.permute([named.index(axis) for axis in in_order(frozenset(named))])


def rank_densely(ev: Evaluator, node: Node) -> Array:
    """By sorting: how many entries of the domain stand before each one."""
    axes = in_order(node.axes)
    dim, shape = axes.index(node.attribute[0]), [ev.length(axis) for axis in axes]
    x, inside = (ev.aligned(arg, node.axes).expand(shape) for arg in node.args)
    order = x.sort(dim=dim, descending=True, stable=True).indices
    counted = inside.to(torch.int64).gather(dim, order)
    return torch.empty_like(order).scatter(dim, order, counted.cumsum(dim) - counted)


__all__ = ["rank_densely", "scan_densely"]
