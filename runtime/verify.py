"""A spec's kernels against its dense meaning in float64: outputs and every gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnc.card import Card
from attnc.diagnostics import Diagnostic
from attnc.diagnostics.diagnostic import AttnError

from .dense import dense_gradients, make_evaluator
from .dtypes import summed
from .entry import _arrange
from .reference import Evaluator
from .signature import Parameters, check_tensors

if TYPE_CHECKING:
    from attnc.spec import Attention

_UNITS = 4.0


@dataclass(frozen=True)
class Error:
    """How far one tensor is from float64: the worst element, where, and what was allowed."""

    name: str
    worst: float
    place: tuple[int, ...]
    allowed: float
    found: float
    expected: float
    mean: float
    mean_allowed: float
    note: str = ""

    @property
    def is_good(self) -> bool:
        return not self.note and self.worst <= self.allowed and self.mean <= self.mean_allowed


def verify(attention: Attention, *args: torch.Tensor, **kwargs: Any) -> list[Error]:
    """Compares outputs and every gradient of the kernels with the dense meaning in float64.

    An error passes if it is at most twice that of eager code in the inputs' own dtype (the dense meaning under torch's
    autograd, or the derived gradient done densely), on the maximum and on the mean, or within 4 units of rounding of
    the largest result. Raises AttnError with the worst element
    otherwise; returns what was measured.
    """
    errors = measure(attention, args, kwargs)
    bad = [error for error in errors if not error.is_good]
    if bad:
        raise AttnError([_failed(attention.name, error) for error in bad])
    return errors


def _failed(name: str, error: Error) -> Diagnostic:
    what = f"{name}: '{error.name}' is wrong at {list(error.place)}: {error.found:.9g}, not {error.expected:.9g}"
    if error.note:
        what = f"{name}: '{error.name}' {error.note}"
    note = f"error {error.worst:.3g} where {error.allowed:.3g} is allowed; mean {error.mean:.3g} of {error.mean_allowed:.3g}"
    return Diagnostic("verification-failed", what, (), note)


def measure(attention: Attention, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Error]:
    """The errors of every result and gradient, without judging them."""
    card, tensors, parameters = _arrange(attention, tuple(args), kwargs)
    check_tensors(card, tensors)
    inputs = tuple(_leaf(t) for t in tensors)
    found = attention(*inputs, **parameters)
    results = list(found) if len(card.results) > 1 else [found]
    cotangents = [torch.randn_like(r) if r.is_floating_point() else r for r in results]
    derivation = attention.derivation(tuple((p.name, parameters[p.name]) for p in card.statics))
    exact = _dense_results(attention, card, inputs, parameters, torch.float64)
    rough = _dense_results(attention, card, inputs, parameters, None)
    errors = [
        _compare(output.name, result.detach(), e, [r])
        for output, result, e, r in zip(card.results, results, exact, rough)
    ]
    needs = tuple(item.name for item, t in zip(card.inputs, inputs) if t.requires_grad)
    pairs = [(r, c) for r, c in zip(results, cotangents) if r.requires_grad]
    if not needs or not pairs:
        return errors
    wanted = [t for t in inputs if t.requires_grad]
    gradients = torch.autograd.grad([r for r, _ in pairs], wanted, [c for _, c in pairs], allow_unused=True)
    plain = tuple(t.detach() for t in inputs)
    wide = tuple(t.double() if t.is_floating_point() else t for t in plain)
    exact_g = dense_gradients(derivation, card, wide, parameters, needs, tuple(map(_double, cotangents)))
    rough_g = _rough_gradients(attention, card, plain, parameters, needs, cotangents)
    same_g = dense_gradients(derivation, card, plain, parameters, needs, tuple(cotangents))
    largest = max((float(g.abs().max()) for g in exact_g.values() if g.numel()), default=0.0)
    for name, gradient in zip(needs, gradients):
        value = torch.zeros_like(exact_g[name]) if gradient is None else gradient
        eager = [g for g in (rough_g.get(name), same_g[name]) if g is not None]
        errors.append(_compare("gradient of " + name, value, exact_g[name], eager, largest))
    return errors


def _leaf(tensor: torch.Tensor) -> torch.Tensor:
    """A view of the same memory that can have a gradient."""
    return tensor.detach().requires_grad_(tensor.is_floating_point())


def _double(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _dense_results(
    attention: Attention, card: Card, tensors: tuple[torch.Tensor, ...], parameters: Parameters, dtype: Any
) -> list[torch.Tensor]:
    derivation = attention.derivation(tuple((p.name, parameters[p.name]) for p in card.statics))
    base = make_evaluator(card, tuple(t.detach() for t in tensors), parameters)
    evaluator = Evaluator(base.sizes, base.parameters, base.tensors, dtype or base.dtype)
    return [evaluator.result(*derivation.forward[output.name]) for output in card.results]


def _rough_gradients(
    attention: Attention,
    card: Card,
    tensors: tuple[torch.Tensor, ...],
    parameters: Parameters,
    needs: tuple[str, ...],
    cotangents: list[torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Gradients of the dense meaning by torch in the inputs' dtype: what eager code would reach. NaN everywhere as
    soon as one row has no keys."""
    inputs = tuple(_leaf(t) for t in tensors)
    base = make_evaluator(card, inputs, parameters)
    derivation = attention.derivation(tuple((p.name, parameters[p.name]) for p in card.statics))
    results = [base.result(*derivation.forward[output.name]) for output in card.results]
    pairs = [(r, c.to(r.dtype)) for r, c in zip(results, cotangents) if r.requires_grad]
    wanted = [t for item, t in zip(card.inputs, inputs) if item.name in needs]
    if not pairs:
        return {}
    found = torch.autograd.grad([r for r, _ in pairs], wanted, [c for _, c in pairs], allow_unused=True)
    return {name: g for name, g in zip(needs, found) if g is not None}


def _compare(
    name: str, found: torch.Tensor, exact: torch.Tensor, rough: Sequence[torch.Tensor], largest: float = 0.0
) -> Error:
    """The error of one tensor against float64, judged by those of eager forms in the same dtype.

    `largest` is the largest gradient of the call: one that is 0 by cancellation is judged by what was cancelled.
    """
    if found.numel() == 0:
        return Error(name, 0.0, (), 0.0, 0.0, 0.0, 0.0, 0.0)
    if not found.is_floating_point():
        wrong = (found != exact).flatten()
        place = int(wrong.int().argmax())
        note = f"differs in {int(wrong.sum())} places" if bool(wrong.any()) else ""
        return Error(name, float(wrong.any()), _unravel(place, found), 0.0, 0.0, 0.0, 0.0, 0.0, note)
    wide = found.double()
    note = _special(wide, exact)
    finite = torch.isfinite(exact)
    distance = torch.where(finite, (wide - exact).abs(), torch.zeros_like(exact)).nan_to_num(nan=float("inf"))
    scale = float(torch.where(finite, exact.abs(), torch.zeros_like(exact)).max())
    unit = torch.finfo(found.dtype).eps * max(scale, largest) * _UNITS
    eager = [torch.where(finite, (r.double() - exact).abs(), torch.zeros_like(exact)).nan_to_num(nan=0.0) for r in rough]
    most = max((float(one.max()) for one in eager), default=0.0)
    usual = max((float(one.mean()) for one in eager), default=0.0)
    place = int(distance.argmax())
    return Error(
        name, float(distance.max()), _unravel(place, found), max(2 * most, unit),
        float(wide.flatten()[place]), float(exact.flatten()[place]),
        float(distance.mean()), max(2 * usual, unit), note,
    )


def _special(found: torch.Tensor, exact: torch.Tensor) -> str:
    """Infinities and NaN must stand where they do in the dense meaning."""
    if not bool(torch.equal(torch.isnan(found), torch.isnan(exact))):
        return "holds NaN where the dense meaning does not, or the reverse"
    infinite = torch.isinf(exact)
    if not bool(torch.equal(torch.where(infinite, found, exact), exact.where(~infinite, exact))):
        both = torch.where(infinite, (found == exact), torch.ones_like(infinite))
        if not bool(both.all()):
            return "is finite where the dense meaning is infinite"
    return ""


def _unravel(place: int, tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(place), tensor.shape))


__all__ = ["Error", "measure", "summed", "verify"]
