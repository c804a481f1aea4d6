"""Nested scopes under construction, the same for every spelling: which axes have an index where, what was computed.

A scope is the body of a loop (or of the function). Every value is computed in the outermost scope that knows its
indices, and at most once there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from attnc.ir import Axis, Graph, Node

ScopeType = TypeVar("ScopeType", bound="Scope")


@dataclass
class Scope:
    """The axes that a scope fixes, its lines so far, and the positions that `bind` fixed axes at."""

    coordinates: dict[Axis, str]
    lines: list[str] = field(default_factory=list)
    bound: dict[Axis, Node] = field(default_factory=dict)

    def fixes(self, axes: frozenset[Axis]) -> bool:
        """Whether this scope fixes one of these axes."""
        return any(axis in self.coordinates for axis in axes)


class ScopeStack(Generic[ScopeType]):
    """The scopes from the function's body inwards."""

    def __init__(self, graph: Graph, outermost: ScopeType) -> None:
        self.graph = graph
        self.scopes: list[ScopeType] = [outermost]
        self.counter = 0

    @property
    def depth(self) -> int:
        return len(self.scopes) - 1

    def line(self, text: str) -> None:
        self.scopes[-1].lines.append(text)

    def fresh(self, stem: str = "t") -> str:
        """A name that nothing else has: no other kind of name ends in an underscore and digits."""
        self.counter += 1
        return f"{stem}_{self.counter}"

    @contextmanager
    def at_level(self, level: int) -> Iterator[None]:
        """Writes into an outer scope for a while."""
        inner = self.scopes[level + 1 :]
        del self.scopes[level + 1 :]
        yield
        self.scopes += inner

    def level_of(self, axes: frozenset[Axis]) -> int:
        """The innermost scope that fixes one of these axes."""
        level = 0
        missing = set(axes)
        for depth, scope in enumerate(self.scopes):
            if scope.fixes(axes):
                level = depth
                missing -= scope.coordinates.keys()
        assert not missing, f"no loop over {sorted(a.name for a in missing)}"
        return level

    def coordinate(self, axis: Axis) -> str:
        """The current index along an axis."""
        return next(scope.coordinates[axis] for scope in reversed(self.scopes) if axis in scope.coordinates)

    def has_coordinate(self, axis: Axis) -> bool:
        return any(axis in scope.coordinates for scope in self.scopes)

    def fix(self, axis: Axis, name: str) -> None:
        """Gives an axis an index for the rest of the current scope."""
        self.scopes[-1].coordinates[axis] = name

    def bind(self, axis: Axis, position: Node) -> bool:
        """Fixes an axis that no loop runs over at a position, for the rest of the scope that knows the position;
        False where it is fixed otherwise already."""
        for scope in reversed(self.scopes):
            if axis in scope.bound:
                return scope.bound[axis] is position
            if axis in scope.coordinates:
                return self.graph.index(axis) is position
        name, level = self.position(position)
        scope = self.scopes[level]
        scope.coordinates[axis] = name
        scope.bound[axis] = position
        return True

    def position(self, node: Node) -> tuple[str, int]:
        """The name of an index that was computed, and the scope that knows it."""
        raise NotImplementedError
