"""What lowering makes of an attention: a graph with its inputs, parameters, requirements and results."""

from __future__ import annotations

from dataclasses import dataclass

from ..diagnostics import Span
from ..ir import Axis, Graph, Node, Tensor


@dataclass(frozen=True)
class InputDeclaration:
    """An input that the spec reads: a tensor with one size expression per axis. `size_texts` are the user's words,
    `size_spans` where they stand; `span` is the name where it is declared."""

    tensor: Tensor
    size_texts: tuple[str, ...]
    span: Span
    is_default: bool
    size_spans: tuple[Span, ...] = ()

    @property
    def name(self) -> str:
        return self.tensor.name

    @property
    def shape(self) -> str:
        """How it is written with its sizes: `q[B, H, M, D]`."""
        return f"{self.name}[{', '.join(self.size_texts)}]" if self.size_texts else self.name


@dataclass(frozen=True)
class ParameterDeclaration:
    """A host value: "int", "float", "bool" or "mode". bool and mode parameters specialise the graph."""

    name: str
    type: str
    modes: tuple[str, ...]
    default: int | float | bool | str | None
    span: Span

    @property
    def is_static(self) -> bool:
        return self.type in ("bool", "mode")


@dataclass(frozen=True)
class Requirement:
    """A condition checked at the call and used as a fact; `text` is what the user wrote."""

    condition: Node
    text: str
    span: Span


@dataclass(frozen=True)
class Result:
    """An output: its node and the order of its axes (batch, head, written indices, trailing vector). `like`: the input
    whose dtype it has, whatever the others hold; `is_wide`: it keeps the precision of sums."""

    name: str
    node: Node
    axes: tuple[Axis, ...]
    span: Span
    like: str | None = None
    is_wide: bool = False


@dataclass(frozen=True)
class Meaning:
    """A lowered attention. `derived_sizes` are those that no input tells, from those that inputs tell; `extents` those
    of ragged axes: each is the most that an integer is, over all its axes."""

    name: str
    doc: str | None
    graph: Graph
    inputs: tuple[InputDeclaration, ...]
    parameters: tuple[ParameterDeclaration, ...]
    requirements: tuple[Requirement, ...]
    results: tuple[Result, ...]
    derived_sizes: dict[str, Node]
    exact_divisions: tuple[tuple[Node, Node, Span], ...]
    extents: dict[str, Node]

    @property
    def roots(self) -> list[Node]:
        return [result.node for result in self.results]
