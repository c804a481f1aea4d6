"""The meaning of every pointwise primitive in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Array = torch.Tensor


def power(base: Array, exponent: float) -> Array:
    if exponent == 1:
        return base
    if exponent < 0:
        return _off_zero(lambda x: x.rsqrt() if exponent == -0.5 else x.pow(exponent), base)
    return base.pow(exponent)


def _off_zero(function: Callable[[Array], Array], x: Array) -> Array:
    """A function with a pole at 0, where its derivative counts as 0: rows without keys divide by 0 under a guard."""
    if not x.requires_grad:
        return function(x)
    zero = x == 0
    return torch.where(zero, function(x.detach()), function(torch.where(zero, torch.ones_like(x), x)))


def _exp(x: Array) -> Array:
    """Where it is infinite its derivative counts as 0: a row without keys subtracts the largest score of none, -inf."""
    return torch.exp(torch.where(x == torch.inf, x.detach(), x)) if x.requires_grad else torch.exp(x)


def _all(*args: Array) -> Array:
    total = args[0]
    for arg in args[1:]:
        total = total & arg
    return total


def _any(*args: Array) -> Array:
    total = args[0]
    for arg in args[1:]:
        total = total | arg
    return total


def _floordiv(a: Array, b: Array) -> Array:
    if a.is_floating_point():
        return torch.floor(a / b)
    safe = torch.where(b == 0, torch.ones_like(b), b)
    return torch.where(b == 0, torch.zeros_like(a), torch.div(a, safe, rounding_mode="floor"))


def _mod(a: Array, b: Array) -> Array:
    if a.is_floating_point():
        return torch.remainder(a, b)
    safe = torch.where(b == 0, torch.ones_like(b), b)
    return torch.where(b == 0, torch.zeros_like(a), torch.remainder(a, safe))


def _signed(value: int) -> int:
    """The 64-bit integer with these bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _shifted(a: Array, count: int) -> Array:
    """The upper bits alone, whatever the sign."""
    return torch.bitwise_right_shift(a, count) & ((1 << (64 - count)) - 1)


def _hash(a: Array, b: Array) -> Array:
    """The steps of SplitMix64 from a state that b moves (Steele, Lea and Flood, 2014); products wrap."""
    z = a + (b + 1) * _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)


def _unit(ev: Any, x: Array) -> Array:
    """Of 2**23 numbers with half a step to 0 and to 1, exact in every dtype that kernels compute in."""
    return (_shifted(x, 41).to(ev.dtype) + 0.5) * 2.0**-23


def _in_order(x: Array) -> Array:
    """Floating numbers as integers in the same order."""
    bits = x.view(torch.int64 if x.dtype == torch.float64 else torch.int32)
    return torch.where(bits < 0, bits ^ torch.iinfo(bits.dtype).max, bits).to(torch.int64)


def _from_order(ev: Any, key: Array) -> Array:
    integer = torch.int64 if ev.dtype == torch.float64 else torch.int32
    return torch.where(key < 0, key.to(integer) ^ torch.iinfo(integer).max, key.to(integer)).view(ev.dtype)


POINTWISE: dict[str, Callable[..., Array]] = {
    "exp": _exp,
    "expm1": torch.expm1,
    "log": lambda x: _off_zero(torch.log, x),
    "log1p": torch.log1p,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "log_sigmoid": torch.nn.functional.logsigmoid,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros((), dtype=x.dtype, device=x.device)),
    "erf": torch.erf,
    "sin": torch.sin,
    "cos": torch.cos,
    "atan2": torch.atan2,
    "logaddexp": torch.logaddexp,
    "power": torch.pow,
    "relu": torch.relu,
    "abs": torch.abs,
    "sign": torch.sign,
    "max": torch.maximum,
    "min": torch.minimum,
    "where": torch.where,
    "finite_or": lambda x, other: torch.where(torch.isfinite(x), x, other),
    "floor": lambda x: torch.floor(x).to(torch.int64),
    "ceil": lambda x: torch.ceil(x).to(torch.int64),
    "round": lambda x: torch.round(x).to(torch.int64),
    "floordiv": _floordiv,
    "mod": _mod,
    "bit_and": torch.bitwise_and,
    "bit_xor": torch.bitwise_xor,
    "shift_left": torch.bitwise_left_shift,
    "shift_right": torch.bitwise_right_shift,
    "hash": _hash,
    "in_order": _in_order,
    "rounding": lambda x: torch.abs(x) * torch.finfo(x.dtype).eps,
    "implicit": lambda value, f, factor: value,
    "less": torch.lt,
    "at_most": torch.le,
    "equal": torch.eq,
    "at_most_zero": lambda x: x <= 0,
    "equal_zero": lambda x: x == 0,
    "not": torch.logical_not,
    "and": _all,
    "or": _any,
}
TYPED: dict[str, Callable[..., Array]] = {
    "to_float": lambda ev, x: x.to(ev.dtype),
    "unit": _unit,
    "from_order": _from_order,
}
