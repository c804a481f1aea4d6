"""Which order tokens are put in: of several, the one in which the fewest tiles of some rows hold pairs.

Each sorts by the coordinates that pairs share, then by cells of the others, as long along each as makes a cell fill a
run of looped indices. Nothing but sizes and parameters decides; what was found for them is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from typing import Any
from weakref import WeakValueDictionary

import torch

from attnc.card import COLUMN, INDEX, ROW, Card, OrderCard
from attnc.ir.host import Encoded, evaluate, names_in

LEAST_TOKENS = 512  # of fewer, sorting costs more than tiles without pairs
_CELL = 64  # tokens that should lie together: a run of looped indices
_SUB_CELLS = 2  # along each side of a cell: rows that are told apart
_GAIN = 0.9  # of the tiles visited before, at most
_BLOCKS, _ROWS, _RUNS, _COLUMNS = 8, 8, 1024, 16  # how many blocks of rows are tried, and rows of each; so of columns
_MOST_FOUND = 64
_found: dict[tuple[str, torch.device], list[Sorted] | None] = {}
# what is alive, so that calls that differ in other parameters share it
_alive: WeakValueDictionary[tuple[str, int, torch.device], Sorted] = WeakValueDictionary()


class Sorted:
    """Tokens in another order: `places[n]` is where the n-th was, `coordinates` are those of the sorted tokens."""

    def __init__(self, places: torch.Tensor, coordinates: list[torch.Tensor]) -> None:
        self.places = places
        self.coordinates = [one[places].int() for one in coordinates]

    @cached_property
    def table(self) -> torch.Tensor:
        """The places as kernels read them."""
        return self.places.int()

    @cached_property
    def back(self) -> torch.Tensor:
        """Where each token went."""
        return torch.argsort(self.places)


def choose_orders(card: Card, known: Mapping[str, Any], device: torch.device) -> list[Sorted] | None:
    """How tokens of each of the card's orders are sorted; None where they stay as they are."""
    if not card.orders or any(evaluate(order.size, known) < LEAST_TOKENS for order in card.orders):
        return None
    values = {name: known[name] for name in sorted(_names(card))}
    key = (repr((card.orders, values)), device)
    if key in _found:
        return _found.get(key)
    with torch.device(device):
        found = _choose(card, values, device)
    if len(_found) >= _MOST_FOUND:
        _found.pop(next(iter(_found)), None)
    _found[key] = found
    return found


def _names(card: Card) -> set[str]:
    """Sizes and parameters that decide."""
    parts = [part for part in (card.pairs, card.rows, card.columns) if part is not None]
    return set().union(*map(_names_of, card.orders), *map(names_in, parts)) - {ROW, COLUMN}


def _names_of(order: OrderCard) -> set[str]:
    return set().union(*map(names_in, (order.size, *order.shared, *order.near))) - {INDEX}


def _choose(card: Card, values: Mapping[str, Any], device: torch.device) -> list[Sorted] | None:
    """The candidate of which the least share of tiles holds pairs, if that is less than without."""
    candidates = [list(together) for together in zip(*(list(_candidates(one, values, device)) for one in card.orders))]
    changed = [c for c in candidates if any(_changes(one.places) for one in c)]
    if not changed:
        return None
    before = visited(card, values, None, device)
    if before is None:
        return changed[0]
    shares = [visited(card, values, one, device) or 0.0 for one in changed]
    best = min(range(len(changed)), key=lambda n: shares[n])
    return changed[best] if shares[best] < _GAIN * before else None


def _changes(places: torch.Tensor) -> bool:
    return bool((places != torch.arange(len(places), device=places.device)).any())


# --- orders --------------------------------------------------------------------------------------------------------


def _candidates(order: OrderCard, values: Mapping[str, Any], device: torch.device) -> Iterator[Sorted]:
    """As many orders for any length with as many coordinates: cells as long along each, or one thin along one."""
    size = int(evaluate(order.size, values))
    index = torch.arange(size, device=device)
    known = {**values, INDEX: index}
    shared, near = ([_whole(evaluate(one, known), index) for one in kind] for kind in (order.shared, order.near))
    kinds = math.prod(len(set(one.tolist())) for one in (*shared, *near))
    tokens = min(max(_CELL * kinds / max(size, 1), 1.0), _CELL)
    key = repr((order.size, order.shared, order.near, {name: values[name] for name in sorted(_names_of(order))}))
    for thin in range(-1, 3):
        known_one = _alive.get((key, thin, device))
        if known_one is not None:
            yield known_one
            continue
        wide = len(near) - (0 <= thin < len(near))
        cells = [1 if n == thin else max(round(math.pow(tokens, 1 / wide)), 1) for n in range(len(near))]
        coarse = [one // cell for one, cell in zip(near, cells)]
        fine = [one // max(cell // _SUB_CELLS, 1) for one, cell in zip(near, cells)]
        found = Sorted(_sort([*shared, *coarse, *fine, *near], index), [*shared, *near])
        _alive[key, thin, device] = found
        yield found


def _sort(keys: Sequence[torch.Tensor], index: torch.Tensor) -> torch.Tensor:
    """Indices by the first key, where that is equal by the next, and so on."""
    places = index
    for one in reversed(keys):
        places = places[torch.argsort(one[places], stable=True)]
    return places


def _whole(value: Any, index: torch.Tensor) -> torch.Tensor:
    """A coordinate of every token, also where it is one number for all."""
    return torch.as_tensor(value, device=index.device).expand_as(index)


# --- what an order is worth ----------------------------------------------------------------------------------------


def visited(
    card: Card, known: Mapping[str, Any], orders: Sequence[Sorted] | None, device: torch.device
) -> float | None:
    """The share of tiles in which a pair is found, of some rows and columns of some tiles; None where which pairs exist
    depends on tensors."""
    if card.pairs is None:
        return None
    rows, columns = (places_along(card, size, known, orders, device) for size in (card.rows, card.columns))
    rows, columns = _some(rows, _BLOCKS, _ROWS), _some(columns, _RUNS, _COLUMNS)
    here = {ROW: rows.reshape(-1, 1), COLUMN: columns.reshape(1, -1)}
    try:
        pairs = _vectorised(card.pairs, {**known, **here})
    except (
        ArithmeticError,
        KeyError,
        RuntimeError,
    ):  # a function not in the table, or a division by a number that is 0
        return None
    whole = pairs.expand(rows.numel(), columns.numel()).view(*rows.shape, *columns.shape)
    return float(whole.any(3).any(1).double().mean())


def places_along(
    card: Card, size: Encoded, known: Mapping[str, Any], orders: Sequence[Sorted] | None, device: torch.device
) -> torch.Tensor:
    """Where the tokens of a length are taken from, one after another."""
    for order, one in zip(card.orders, orders or ()):
        if order.size == size:
            return one.places
    return torch.arange(int(evaluate(size, known)), device=device)


def _some(places: torch.Tensor, tiles: int, entries: int) -> torch.Tensor:
    """Entries of tiles, both spread evenly."""
    count = max(len(places) // _CELL, 1)
    each = places[: count * _CELL].view(count, -1)
    picked = each[:: max(count // tiles, 1)]
    return picked[:, :: max(picked.shape[1] // entries, 1)]


def _vectorised(encoded: Encoded, known: Mapping[str, Any]) -> Any:
    """The value of an encoded condition for many rows and columns at once."""
    if isinstance(encoded, str):
        return known[encoded]
    if not isinstance(encoded, list):
        return encoded
    op = encoded[0]
    if op == "float":
        return float(encoded[1])
    if op == "add":
        return encoded[1] + sum(c * _vectorised(x, known) for c, x in encoded[2])
    if op == "mul":
        return math.prod(_vectorised(x, known) ** e for x, e in encoded[1])
    return _OPERATIONS[op](*(_vectorised(x, known) for x in encoded[1:]))


def _where(condition: Any, then: Any, other: Any) -> Any:
    return torch.where(torch.as_tensor(condition), then, other)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "guard": lambda c, x: _where(c, x, 0),
    "and": lambda *xs: reduce(lambda a, b: a & b, xs),
    "or": lambda *xs: reduce(lambda a, b: a | b, xs),
    "not": lambda x: torch.logical_not(torch.as_tensor(x)),
    "at_most_zero": lambda x: x <= 0,
    "equal_zero": lambda x: x == 0,
    "less": lambda a, b: a < b,
    "at_most": lambda a, b: a <= b,
    "equal": lambda a, b: a == b,
    "where": _where,
    "int_floordiv": lambda a, b: a // b,
    "int_mod": lambda a, b: a % b,
    "max": lambda a, b: torch.maximum(torch.as_tensor(a), torch.as_tensor(b)),
    "min": lambda a, b: torch.minimum(torch.as_tensor(a), torch.as_tensor(b)),
    "abs": abs,
    "to_float": lambda x: torch.as_tensor(x).double(),
    "floor": lambda x: torch.as_tensor(x).floor().long(),
    "ceil": lambda x: torch.as_tensor(x).ceil().long(),
    "log2": lambda x: torch.as_tensor(x).double().log2(),
    "log": lambda x: torch.as_tensor(x).double().log(),
    "exp": lambda x: torch.as_tensor(x).double().exp(),
    "shift_left": lambda a, b: a << b,
    "shift_right": lambda a, b: a >> b,
    "bit_and": lambda a, b: a & b,
}
