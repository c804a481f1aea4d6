"""What a caller needs to know of an attention, as plain data: its inputs, parameters, requirements and results.

Made once from the lowered spec and kept on disk, so that a later process calls a known spec without parsing it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from attnc.grammar.tree import Attention

from .analysis.token_orders import TokenOrder
from .ir.host import Encoded, encode, is_host
from .ir.node import INT, Node
from .ir.rewrite import substitute
from .ir.roles import LENGTH
from .pipeline import Derivation

# what an encoded coordinate is of, and an encoded condition on pairs
INDEX, ROW, COLUMN = "#index", "#row", "#column"


@dataclass(frozen=True)
class InputCard:
    """`sizes` are encoded sizes, `texts` the same in the user's words; `type` is float, int or bool."""

    name: str
    sizes: list[Encoded]
    texts: list[str]
    type: str
    is_default: bool


@dataclass(frozen=True)
class ParameterCard:
    name: str
    type: str
    modes: list[str]
    default: Any


@dataclass(frozen=True)
class RequirementCard:
    """`condition` is encoded; None where it reads tensors and is checked through the graph."""

    condition: Encoded | None
    text: str


@dataclass(frozen=True)
class OutputCard:
    """A tensor that a kernel fills. `dtype`: "result", "sum", "int", "bool", or "like NAME" (an input)."""

    name: str
    sizes: list[Encoded]
    dtype: str


@dataclass(frozen=True)
class OrderCard:
    """How the tokens of a length are sorted: `shared` and `near` are encoded coordinates of INDEX; `moved` and
    `results` say which dimension of which tensor is."""

    size: Encoded
    shared: list[Encoded]
    near: list[Encoded]
    moved: list[tuple[str, int]]
    results: list[tuple[str, int]]


@dataclass(frozen=True)
class Card:
    """`orders`: how tokens may be sorted, and `pairs` (encoded, of ROW and COLUMN) which exist among how many rows and
    columns; None where that depends on tensors. `extents` are sizes that tensors hold, `measured` what each is the most
    of; neither that nor `tree` is kept on disk. `tree` gives the spec's text where a message must show it."""

    name: str
    doc: str | None
    inputs: list[InputCard]
    parameters: list[ParameterCard]
    requirements: list[RequirementCard]
    exact: list[tuple[Encoded, Encoded, str]]
    results: list[OutputCard]
    widths: list[str]
    lengths: list[str]
    derived: list[tuple[str, Encoded]]
    orders: list[OrderCard]
    pairs: Encoded | None
    rows: Encoded | None
    columns: Encoded | None
    extents: list[str]
    measured: Callable[[], Mapping[str, Node]] | None = field(default=None, compare=False, repr=False)
    tree: Callable[[], Attention] | None = field(default=None, compare=False, repr=False)

    @property
    def has_open_requirements(self) -> bool:
        """Whether a `require` reads tensors."""
        return any(requirement.condition is None for requirement in self.requirements)

    @property
    def statics(self) -> list[ParameterCard]:
        return [parameter for parameter in self.parameters if parameter.type in ("bool", "mode")]

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in ("tree", "measured")}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Card:
        return Card(
            data["name"],
            data["doc"],
            [InputCard(**item) for item in data["inputs"]],
            [ParameterCard(**item) for item in data["parameters"]],
            [RequirementCard(**item) for item in data["requirements"]],
            [(a, b, text) for a, b, text in data["exact"]],
            [OutputCard(**item) for item in data["results"]],
            data["widths"],
            data["lengths"],
            [(name, size) for name, size in data["derived"]],
            [_order_from_json(item) for item in data["orders"]],
            data["pairs"],
            data["rows"],
            data["columns"],
            data["extents"],
        )


def make_card(derivation: Derivation) -> Card:
    """The card of a spec that can be computed (AttnError where a construct is not lowered yet)."""
    meaning = derivation.meaning
    inputs = [
        InputCard(d.name, [encode(s) for s in d.tensor.sizes], list(d.size_texts), d.tensor.type, d.is_default)
        for d in meaning.inputs
    ]
    parameters = [ParameterCard(p.name, p.type, list(p.modes), p.default) for p in meaning.parameters]
    requirements = [
        RequirementCard(encode(r.condition) if is_host(r.condition) else None, r.text) for r in meaning.requirements
    ]
    exact = [(encode(a), encode(b), " ".join(span.text.split())) for a, b, span in meaning.exact_divisions]
    results = [
        OutputCard(output.tensor.name, [encode(axis.size) for axis in output.axes], output.dtype)
        for output in derivation.forward_outputs(())
    ]
    return Card(
        meaning.name,
        meaning.doc,
        inputs,
        parameters,
        requirements,
        exact,
        results,
        derivation.width_sizes(),
        _lengths(derivation),
        [(name, encode(size)) for name, size in meaning.derived_sizes.items()],
        [_order_card(derivation, order) for order in derivation.token_orders.orders],
        *_pairs(derivation),
        list(meaning.extents),
        measured=lambda: meaning.extents,
    )


def _pairs(derivation: Derivation) -> tuple[Encoded | None, Encoded | None, Encoded | None]:
    """Which pairs exist (for the first batch entry and head), and the numbers of rows and columns."""
    graph, found = derivation.meaning.graph, derivation.token_orders
    if found.pairs is None or found.row is None or found.column is None:
        return None, None, None
    here = {axis: graph.const(0) for axis in found.pairs.axes}
    here |= {found.row: graph.param(ROW, INT), found.column: graph.param(COLUMN, INT)}
    pairs = substitute(graph, found.pairs, here)
    sizes = encode(found.row.size), encode(found.column.size)
    return (encode(pairs), *sizes) if is_host(pairs) else (None, None, None)


def _order_card(derivation: Derivation, order: TokenOrder) -> OrderCard:
    graph = derivation.meaning.graph
    here = {order.axis: graph.param(INDEX, INT)}
    shared, near = ([encode(substitute(graph, one, here)) for one in kind] for kind in (order.shared, order.near))
    return OrderCard(encode(order.axis.size), shared, near, list(order.moved), list(order.results))


def _order_from_json(data: Mapping[str, Any]) -> OrderCard:
    moved, results = ([(name, place) for name, place in data[key]] for key in ("moved", "results"))
    return OrderCard(data["size"], data["shared"], data["near"], moved, results)


def _lengths(derivation: Derivation) -> list[str]:
    found = {
        size.attribute: None
        for declared in derivation.meaning.inputs
        for size in declared.tensor.sizes
        if size.kind == "size" and derivation.roles.of_size(size) == LENGTH
    }
    return list(found)
