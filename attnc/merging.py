"""Parts of an attention's keys as attentions of their own: what one part gives, two parts merged, and the end of it.

The state of a part is its statistics: for a softmax its maximum, its sum and its unnormalized output. See
analysis/parts.py for how they merge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .analysis.parts import Piece, find_pieces, rescaled
from .diagnostics import NOWHERE, Diagnostic, Mistake
from .ir import Axis, Graph, Node, Tensor
from .ir.node import FLOAT, INT, outermost, reachable
from .ir.rewrite import Rewriter
from .ir.roles import Roles
from .ir.text import expression
from .lowering.meaning import InputDeclaration, Meaning, ParameterDeclaration, Result
from .lowering.sizes import size_text

Roots = Mapping[str, tuple[Node, tuple[Axis, ...]]]
FIRST, ALL = "first_key", "all_keys"


@dataclass(frozen=True)
class NotMergeable(Mistake):
    """An attention that needs all its keys at once, or cannot tell them from its queries."""

    attention: str
    reason: str

    def diagnostic(self) -> Diagnostic:
        return Diagnostic("not-mergeable", f"'{self.attention}' cannot be taken in parts of its keys: {self.reason}")


@dataclass(frozen=True)
class _State:
    """The statistics that the results are made of, operands first, and the axes of each."""

    pieces: tuple[Piece, ...]
    axes: tuple[tuple[Axis, ...], ...]

    def inputs(self, prefix: str) -> list[InputDeclaration]:
        """One tensor for each."""
        made = []
        for number, axes in enumerate(self.axes):
            sizes = tuple(axis.size for axis in axes)
            made.append(
                InputDeclaration(Tensor(f"{prefix} {number}", sizes), tuple(map(size_text, sizes)), NOWHERE, False)
            )
        return made

    def read(self, graph: Graph, inputs: Sequence[InputDeclaration]) -> dict[Node, Node]:
        return {
            piece.node: graph.read(made.tensor, tuple(graph.index(axis) for axis in axes))
            for piece, made, axes in zip(self.pieces, inputs, self.axes)
        }

    def results(self, nodes: Sequence[Node]) -> tuple[Result, ...]:
        return tuple(
            Result(f"state {number}", node, axes, NOWHERE, is_wide=True)
            for number, (node, axes) in enumerate(zip(nodes, self.axes))
        )


def _state_of(meaning: Meaning, forward: Roots, roles: Roles) -> _State:
    graph = meaning.graph
    roots = [node for node, _ in forward.values()]
    pieces = {piece.node: piece for piece in find_pieces(graph, roots, roles)}
    needed: dict[Node, Piece] = {}
    waiting = _outermost(roots, pieces, meaning.name, roles)
    while waiting:
        piece = pieces[max(waiting)]
        waiting.remove(piece.node)
        needed[piece.node] = piece
        waiting |= _outermost(piece.node.args, pieces, meaning.name, roles) - needed.keys()
        if piece.moves is None:
            text = expression(piece.node, longest=60)
            raise NotMergeable(meaning.name, f"'{text}' needs another sum of all of them first").error()
    if not needed:
        raise NotMergeable(meaning.name, "it sums over none").error()
    found = tuple(needed[node] for node in sorted(needed))
    return _State(found, tuple(roles.memory_order(piece.node.axes) for piece in found))


def _outermost(roots: Sequence[Node], pieces: Mapping[Node, Piece], name: str, roles: Roles) -> set[Node]:
    """The statistics that nodes read; all must be such as merge."""

    def is_piece(node: Node) -> bool:
        if node not in pieces and (node.kind in ("root", "recur", "scan") or roles.sums_more(node)):
            raise NotMergeable(name, f"'{expression(node, longest=60)}' needs all of them at once").error()
        return node in pieces

    return set(outermost(roots, is_piece))


def partial_meaning(meaning: Meaning, forward: Roots, roles: Roles) -> Meaning:
    """The state of some of the keys: of those given, the first of which is `first_key` of `all_keys`."""
    graph = meaning.graph
    state = _state_of(meaning, forward, roles)
    axes = {piece.axis for piece in state.pieces}
    _check_keys(meaning, roles, state, {axis.size for axis in axes})
    first, count = graph.param(FIRST, INT), graph.param(ALL, INT)
    nodes = [_moved(graph, meaning.name, piece.node, axes, first, count) for piece in state.pieces]
    used = {node.attribute for root in nodes for node in reachable([root]) if node.kind == "param"}
    parameters = [ParameterDeclaration(name, INT, (), None, NOWHERE) for name in (FIRST, ALL) if name in used]
    return replace(
        meaning,
        name=f"partial of {meaning.name}",
        doc=None,
        parameters=(*meaning.parameters, *parameters),
        results=state.results(nodes),
        inputs=_read_by(meaning.inputs, nodes),
    )


def _check_keys(meaning: Meaning, roles: Roles, state: _State, sizes: set[Node]) -> None:
    rows = {axis.size for axes in state.axes for axis in axes}
    if sizes & rows:
        (size, *_) = sorted(sizes & rows)
        text = size_text(size)
        raise NotMergeable(
            meaning.name, f"queries and keys are both of size {text}; give them sizes of their own"
        ).error()
    names = [p.name for p in meaning.parameters] + [declared.name for declared in meaning.inputs]
    if FIRST in names or ALL in names:
        raise NotMergeable(meaning.name, f"'{FIRST}' and '{ALL}' are names of its own").error()


def _moved(graph: Graph, name: str, root: Node, axes: set[Axis], first: Node, count: Node) -> Node:
    """A statistic of part of the keys, whose indices and number are those of the whole wherever their value counts."""
    sizes = {axis.size for axis in axes}
    done: dict[Node, Node] = {}
    for node in reachable([root]):
        if node.kind == "index" and node.attribute in axes:
            done[node] = graph.add(node, first)
        elif node in sizes:
            done[node] = count
        elif node.kind == "read" and any(size in sizes for size in node.attribute.sizes):
            for position, size in zip(node.args, node.attribute.sizes):
                if size in sizes and not (position.kind == "index" and position.attribute in axes):
                    text = expression(node, longest=60)
                    raise NotMergeable(name, f"'{text}' reads keys at other positions").error()
            own = {part: part for part in node.args if part.kind == "index"}
            done[node] = Rewriter(graph, replaced={**done, **own})(node)
        else:
            done[node] = Rewriter(graph, replaced=done)(node)
    return done[root]


def merge_meaning(meaning: Meaning, forward: Roots, roles: Roles) -> Meaning:
    """The state of two parts together."""
    graph = meaning.graph
    state = _state_of(meaning, forward, roles)
    sides = [state.inputs(prefix) for prefix in ("one", "other")]
    owns = [state.read(graph, side) for side in sides]
    merged: dict[Node, Node] = {}
    for piece in state.pieces:
        node = piece.node
        if node.op != "sum":
            merged[node] = graph.map(node.op, tuple(own[node] for own in owns), FLOAT)
            continue
        merged[node] = graph.add(*(rescaled(graph, piece, own[node], own, merged) for own in owns))
    return _made(meaning, "merge", [*sides[0], *sides[1]], state.results([merged[p.node] for p in state.pieces]))


def finish_meaning(meaning: Meaning, forward: Roots, roles: Roles) -> Meaning:
    """The results, from the state of all keys and what else they read."""
    graph = meaning.graph
    state = _state_of(meaning, forward, roles)
    given = state.inputs("state")
    known = Rewriter(graph, replaced=state.read(graph, given))
    results = [replace(result, node=known(forward[result.name][0])) for result in meaning.results]
    others = _read_by(meaning.inputs, [result.node for result in results])
    return _made(meaning, "finish", [*given, *others], tuple(results))


def _read_by(inputs: Sequence[InputDeclaration], roots: Sequence[Node]) -> tuple[InputDeclaration, ...]:
    read = {node.attribute for node in reachable(list(roots)) if node.kind == "read"}
    return tuple(declared for declared in inputs if declared.tensor in read)


def _made(meaning: Meaning, kind: str, inputs: Sequence[InputDeclaration], results: tuple[Result, ...]) -> Meaning:
    """Sizes that no state tells, such as the width of scores, become parameters of their name."""
    graph = meaning.graph
    told = {part for made in inputs for size in made.tensor.sizes for part in reachable([size])}
    read = reachable([result.node for result in results])
    untold = [node for node in read if node.kind == "size" and node not in told]
    known = Rewriter(graph, replaced={size: graph.param(size.attribute, INT) for size in untold})
    parameters = tuple(ParameterDeclaration(size.attribute, INT, (), None, NOWHERE) for size in untold)
    results = tuple(replace(result, node=known(result.node)) for result in results)
    return replace(
        meaning,
        name=f"{kind} of {meaning.name}",
        doc=None,
        inputs=tuple(inputs),
        parameters=(*meaning.parameters, *parameters),
        results=results,
        requirements=(),
        derived_sizes={},
        exact_divisions=(),
    )


__all__ = ["finish_meaning", "merge_meaning", "partial_meaning"]
