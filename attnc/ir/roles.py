"""What kind of axis a size makes: outer (batch, heads), length (sequences: streamed) or width (features: compiled in).

B, H, G are outer, M and N lengths, D and E widths. Any other named size is a length if it stands in an input that has
a batch axis, anywhere before that input's last axis; else a width. A computed size is a length if it reads one, or if
it is a product (the places of a grid) that stands so, or is made of parameters and kept by a result. A parameter is
outer if it stands between the batch and a length of an input (layers, each with queries of its own, say); else a width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .axis import Axis
from .node import Node, reachable, walk

OUTER, LENGTH, WIDTH = "outer", "length", "width"
SPLITS = "#splits"  # how many workers share the rows of one grid index of a pass: chosen at the call
PARTS, PART = "#parts", "#part"  # how many parts the keys of a row are taken in, and how many keys each has
EXTENT = "#extent"  # of a ragged axis: the most that its size is anywhere, found at the call
ROWS = "#rows"  # the queries of all heads of a group
_FIXED = {
    ROWS: LENGTH,
    SPLITS: OUTER,
    PARTS: OUTER,
    "B": OUTER,
    "H": OUTER,
    "G": OUTER,
    "M": LENGTH,
    "N": LENGTH,
    "D": WIDTH,
    "E": WIDTH,
}


@dataclass(frozen=True)
class Roles:
    """The role of every axis of a spec. Along `steps` a recurrence goes, one by one: such sizes are never widths.
    `stacks`: parameters that stand as heads do."""

    lengths: frozenset[str]
    steps: frozenset[Node] = frozenset()
    grids: frozenset[Node] = frozenset()
    stacks: frozenset[Node] = frozenset()

    def of_size(self, size: Node) -> str:
        if size.kind == "size":
            if size.attribute.startswith(EXTENT):
                return LENGTH
            other = OUTER if size in self.steps else WIDTH
            return _FIXED.get(size.attribute, LENGTH if size.attribute in self.lengths else other)
        if size in self.grids or any(node.kind == "read" for node in walk(size)):
            return LENGTH
        roles = {self.of_size(node) for node in walk(size) if node.kind == "size"}
        return LENGTH if LENGTH in roles else OUTER if size in self.steps | self.stacks else WIDTH

    def of(self, axis: Axis) -> str:
        return LENGTH if axis.streams else self.of_size(axis.size)

    def axes(self, axes: Iterable[Axis], role: str) -> tuple[Axis, ...]:
        """Those of one role, in order."""
        return tuple(sorted((a for a in axes if self.of(a) == role), key=lambda a: a.number))

    def memory_order(self, axes: Iterable[Axis]) -> tuple[Axis, ...]:
        """How a value lies in memory: batch and heads, lengths, features."""
        ranks = {OUTER: 0, LENGTH: 1, WIDTH: 2}

        def place(axis: Axis) -> tuple[int, str, int]:
            role = self.of(axis)
            name = str(axis.size.attribute) if role == OUTER else ""
            return ranks[role], {SPLITS: "", PARTS: "", "B": "0", "H": "1", "G": "2"}.get(name, name), axis.number

        return tuple(sorted(axes, key=place))

    def holds_statistic(self, root: Node) -> bool:
        """Whether a value contains a reduction over a length or an outer axis."""
        return any(node.kind in ("opaque", "root", "recur") or self.sums_more(node) for node in walk(root))

    def sums_more(self, node: Node) -> bool:
        """Whether a node is a reduction over more than features."""
        return node.kind == "reduce" and any(self.of(axis) != WIDTH for axis in node.attribute)


def _is_of_parameters(size: Node) -> bool:
    return not any(node.kind == "size" for node in walk(size))


def find_roles(shapes: Iterable[Sequence[Node]], results: Iterable[Node] = ()) -> Roles:
    """Roles from the sizes of all inputs, and the recurrences of results."""
    lengths, grids = set(), set()
    between = [sizes[1:-1] for sizes in shapes if sizes and sizes[0].kind == "size" and sizes[0].attribute == "B"]
    for sizes in between:
        lengths |= {size.attribute for size in sizes if size.kind == "size" and size.attribute not in _FIXED}
        grids |= {size for size in sizes if size.is_product and len(size.args) > 1}
    kept = {axis.size for result in results for axis in result.axes}
    grids |= {size for size in kept if size.is_product and len(size.args) > 1 and _is_of_parameters(size)}
    steps = {n.attribute[0].axis.size for n in reachable(list(results)) if n.kind == "recur"}
    roles = Roles(frozenset(lengths), frozenset(steps), frozenset(grids))
    stacks = {
        size
        for sizes in between
        for place, size in enumerate(sizes)
        if size.kind == "param" and any(roles.of_size(after) == LENGTH for after in sizes[place + 1 :])
    }
    return replace(roles, stacks=frozenset(stacks))
