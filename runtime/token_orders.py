"""Which order tokens are put in: of several, the one in which the fewest tiles of some rows hold pairs.

Each sorts by the coordinates that pairs share, then by cells of the others, as long along each as makes a cell fill a
run of looped indices. Nothing but sizes and parameters decides; what was found for them is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any
from weakref import WeakValueDictionary

import torch

from attnc.card import COLUMN, INDEX, ROW, Card, OrderCard
from attnc.ir.host import Encoded, Operation, evaluate, names_in

from .pointwise import POINTWISE, TYPED

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
    candidates = dict.fromkeys(zip(*(list(_candidates(one, values, device)) for one in card.orders)))
    changed = [list(c) for c in candidates if any(_changes(one.places) for one in c)]
    if not changed:
        return None
    before = visited(card, values, None, device)
    if before is None:  # as whole cells are, whatever tensors say
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
    for side in range(-1, 3):
        thin = side if side < len(near) and len(near) > 1 else -1
        if (alive := _alive.get((key, thin, device))) is not None:
            yield alive
            continue
        wide = len(near) - (thin >= 0)
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
        pairs = evaluate(card.pairs, {**known, **here}, _OF_MANY)
    except ArithmeticError:  # a power of a number that is 0
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


class _Doubles:
    """What functions that make floats are told of: the dtype that conditions are computed in."""

    dtype = torch.float64


def _of_many(function: Callable[..., torch.Tensor]) -> Operation:
    """For many rows and columns at once; numbers are the same for all."""
    return lambda *args: function(*(torch.as_tensor(arg) for arg in args))


_OF_MANY: dict[str, Operation] = {
    **{name: _of_many(function) for name, function in POINTWISE.items()},
    "guard": _of_many(lambda c, x: torch.where(c, x, torch.zeros_like(x))),
    **{name: _of_many(partial(function, _Doubles)) for name, function in TYPED.items()},
    "int_floordiv": _of_many(POINTWISE["floordiv"]),
    "int_mod": _of_many(POINTWISE["mod"]),
}
