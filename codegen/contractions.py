"""Sums over features of floats that are matrix products: Σ_w (a factor of the row) · (a factor of the looped index);
and the dtype that factors of products are rounded to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attnc.ir import Axis, Graph, Node, Tensor
from attnc.ir.node import FLOAT

DTYPES = ("bfloat16", "float16", "float32", "float64")


def find_contraction(
    graph: Graph, node: Node, row: Axis | None, loop: Axis, is_width: Callable[[Axis], bool]
) -> tuple[Node, Node, Axis] | None:
    """(left over rows, right over the loop, the summed width) if the node is such a sum and each side has features."""
    if node.kind != "reduce" or node.op != "sum" or node.type != FLOAT:
        return None
    if len(node.attribute) != 1 or not node.domain.is_const(True):
        return None
    (width,) = node.attribute
    if loop not in node.axes or row is None or row not in node.axes:
        return None
    if not is_width(width) or any(is_width(axis) for axis in node.axes):
        return None
    body = node.body
    factors = list(zip(body.args, body.attribute)) if body.is_product else [(body, 1)]
    left = [(base, e) for base, e in factors if loop not in base.axes]
    right = [(base, e) for base, e in factors if loop in base.axes]
    if not left or not right or any(row in base.axes for base, _ in right):
        return None
    first, second = graph.product(left), graph.product(right)
    if row not in first.axes or width not in first.axes or width not in second.axes:
        return None
    return first, second, width


def product_dtype(factors: Iterable[Node], dtype_of: Callable[[Tensor], str], result: str) -> str:
    """What factors are multiplied in: the dtype of the tensors that are read plainly, else that of the results."""
    inner = (node.args[0] if node.kind == "at" else node for node in factors)
    known = {dtype_of(node.attribute) for node in inner if node.kind == "read"}
    if known == {"bfloat16", "float16"}:
        return "float32"
    return max(known, key=DTYPES.index) if known else result
