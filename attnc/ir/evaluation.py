"""Encoded sizes and conditions (see host.py) -> their values. Needs nothing else: built packages get a copy of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Encoded = Any
Operation = Callable[..., Any]


def evaluate(encoded: Encoded, known: Mapping[str, Any], operations: Mapping[str, Operation] | None = None) -> Any:
    """The value of an encoded node where sizes and parameters are known: numbers, or what `operations` are for."""
    if isinstance(encoded, str):
        return known[encoded]
    if not isinstance(encoded, list):
        return encoded
    op = encoded[0]
    if op == "float":
        return float(encoded[1])
    if op == "add":
        return encoded[1] + sum(c * evaluate(x, known, operations) for c, x in encoded[2])
    if op == "mul":
        return math.prod(evaluate(x, known, operations) ** e for x, e in encoded[1])
    operation = (operations or _OPERATIONS)[op]
    return operation(*(evaluate(x, known, operations) for x in encoded[1:]))


_MOST_WORKERS = 8  # that share the rows of one sequence and head, where each has sums of all columns


def workers(launches: Sequence[tuple[bool, bool]], blocks: Sequence[int]) -> int:
    """How many shares there are of sums that several programs add to, for launches (whether it adds to shares, whether
    it takes turns) of so many blocks of rows."""
    most = max((count for (shares, _), count in zip(launches, blocks) if shares), default=1)
    return min(most, _MOST_WORKERS) if any(takes_turns for _, takes_turns in launches) else most


def rounds(takes_turns: bool, blocks: int, splits: int) -> tuple[int, int]:
    """How often a kernel is launched until each of its blocks of rows had its turn, and how many programs at a time go
    through the rows of one sequence and head: all workers, of which some may find no block left."""
    return (-(-blocks // splits), splits) if takes_turns else (1, blocks)


Around = tuple[tuple[Any, int], ...]


def in_order(count: int, repeats: Sequence[Any], known: Mapping[str, Any]) -> Iterator[tuple[str, Any, Around]]:
    """What runs when, of `count` kernels some of which are repeated, within which repeats, each at which step:
    ("launch", number), before each step ("zero", tensor) and after it, for a repeat that may end early, ("until",
    tensor): where that holds nothing but false, what is next is what comes after its ("end", tensor)."""
    outer_first = list(repeats)[::-1]
    outer_first.sort(key=lambda one: (one["first"], -one["last"]))
    return _run(0, count, outer_first, known, ())


def _run(
    number: int, last: int, repeats: Sequence[Any], known: Mapping[str, Any], around: Around
) -> Iterator[tuple[str, Any, Around]]:
    while number < last:
        repeat = next((one for one in repeats if one["first"] == number and one["last"] <= last), None)
        if repeat is None:
            yield "launch", number, around
            number += 1
            continue
        size = int(evaluate(repeat["size"], known))
        inner = repeats[repeats.index(repeat) + 1 :]
        for step in range(size - 1, -1, -1) if repeat["is_reverse"] else range(size):
            here = (*around, (repeat, step))
            for name in repeat["zeroed"]:
                yield "zero", name, here
            yield from _run(repeat["first"], repeat["last"], inner, known, here)
            if repeat["until"]:
                yield "until", repeat["until"], here
        if repeat["until"]:
            yield "end", repeat["until"], around
        number = repeat["last"]


_OPERATIONS: dict[str, Operation] = {
    "guard": lambda c, x: x if c else 0,
    "and": lambda *xs: all(xs),
    "or": lambda *xs: any(xs),
    "not": lambda x: not x,
    "at_most_zero": lambda x: x <= 0,
    "equal_zero": lambda x: x == 0,
    "less": lambda a, b: a < b,
    "at_most": lambda a, b: a <= b,
    "equal": lambda a, b: a == b,
    "where": lambda c, a, b: a if c else b,
    "int_floordiv": lambda a, b: a // b if b else 0,
    "int_mod": lambda a, b: a % b if b else 0,
    "floordiv": lambda a, b: math.floor(a / b),
    "mod": lambda a, b: a % b,
    "max": max,
    "min": min,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "to_float": float,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "exp": math.exp,
    "log": math.log,
    "bit_and": lambda a, b: a & b,
    "bit_xor": lambda a, b: a ^ b,
    "shift_left": lambda a, b: a << max(b, 0) if b < 64 else 0,
    "shift_right": lambda a, b: a >> min(max(b, 0), 63),
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "power": pow,
    "sin": math.sin,
    "cos": math.cos,
}
