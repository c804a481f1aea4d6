"""A spec's kernels against its dense meaning in float64: outputs and every gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnc.card import Card
from attnc.diagnostics import Diagnostic
from attnc.diagnostics.diagnostic import AttnError
from attnc.ir.node import COTANGENT
from attnc.pipeline import Derivation

from .dense import dense_gradients, make_evaluator
from .dtypes import summed
from .entry import _arrange
from .reference import Evaluator
from .rounding import Spread
from .signature import Parameters, check_tensors

if TYPE_CHECKING:
    from attnc.spec import Attention

_SPREADS = 8.0


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

    An error passes if it is at most twice the largest of eager code in the inputs' own dtype, or within what rounding
    makes likely at its own place; and on the mean likewise. Raises AttnError with the worst element otherwise; returns
    what was measured.
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
    note = f"error {error.worst:.3g} where {error.allowed:.3g} is allowed"
    note += f"; mean {error.mean:.3g} of {error.mean_allowed:.3g}"
    return Diagnostic("verification-failed", what, (), note)


def measure(attention: Attention, args: Sequence[Any], kwargs: dict[str, Any], seed: int = 0) -> list[Error]:
    """The errors of every result and gradient, without judging them; `seed` chooses the cotangents."""
    card, tensors, parameters = _arrange(attention, tuple(args), kwargs)
    check_tensors(card, tensors)
    learns = [t.requires_grad for t in tensors]
    inputs = tuple(t.detach().requires_grad_(wanted) for t, wanted in zip(tensors, learns))
    found = attention(*inputs, **parameters)
    results = list(found) if len(card.results) > 1 else [found]
    derivation = attention.derivation(tuple((p.name, parameters[p.name]) for p in card.statics))
    judge = _Judge(derivation, card, tuple(t.detach().cpu() for t in inputs), parameters)
    errors = [judge.result(output.name, result.detach().cpu()) for output, result in zip(card.results, results)]
    needs = tuple(item.name for item, wanted in zip(card.inputs, learns) if wanted)
    generator = torch.Generator().manual_seed(seed)
    cotangents = tuple(
        torch.randn(r.shape, generator=generator, dtype=torch.float64).to(r.dtype) if r.is_floating_point() else r.cpu()
        for r in results
    )
    pairs = [(r, c.to(r.device)) for r, c in zip(results, cotangents) if r.requires_grad]
    if needs and pairs:
        wanted = [t for t in inputs if t.requires_grad]
        gradients = torch.autograd.grad([r for r, _ in pairs], wanted, [c for _, c in pairs], allow_unused=True)
        errors += judge.gradients(needs, [None if g is None else g.cpu() for g in gradients], cotangents)
    return errors


class _Judge:
    """What a call's results and gradients are in float64, and how far rounding may carry them."""

    def __init__(
        self, derivation: Derivation, card: Card, tensors: tuple[torch.Tensor, ...], parameters: Parameters
    ) -> None:
        self.derivation = derivation
        self.card = card
        self.tensors = tensors
        self.parameters = parameters
        base = make_evaluator(card, tensors, parameters)
        self.eager = base
        self.wide = Evaluator(base.sizes, base.parameters, base.tensors, torch.float64)
        self.unit = torch.finfo(summed(base.dtype)).eps / 2
        own = torch.finfo(base.dtype).eps / 2
        self.factor = own if own > self.unit else 0.0
        self.spread = Spread(derivation.meaning.graph, self.wide, self.unit, self.factor)

    def result(self, name: str, found: torch.Tensor) -> Error:
        node, axes = self.derivation.forward[name]
        exact = self.wide.result(node, axes)
        if not found.is_floating_point():
            return _compare_exactly(name, found, exact)
        self.spread(node)
        spread = self._arrange(self.spread, node, axes)
        return _compare(name, found, exact, [self.eager.result(node, axes)], spread)

    def _arrange(self, spread: Spread, node: Any, axes: Any) -> torch.Tensor:
        """A node's spread with its dimensions in a result's order."""
        placed = Evaluator(self.wide.sizes, self.wide.parameters, {}, torch.float64)
        placed.done = {node: spread.done[node]}
        return placed.result(node, axes)

    def gradients(
        self,
        needs: tuple[str, ...],
        found: Sequence[torch.Tensor | None],
        cotangents: tuple[torch.Tensor, ...],
    ) -> list[Error]:
        derivation, card, parameters = self.derivation, self.card, self.parameters
        doubles = tuple(_double(t) for t in self.tensors)
        wide = tuple(map(_double, cotangents))
        exact = dict(dense_gradients(derivation, card, doubles, parameters, needs, wide))
        for name, found_by_torch in self._by_torch(doubles, needs, wide).items():  # the judge is not what was derived
            exact[name] = torch.where(found_by_torch.isnan(), exact[name], found_by_torch)
        rough = self._by_torch(self.tensors, needs, cotangents)
        spreads = self._spreads(needs, cotangents)
        errors = []
        for name, gradient in zip(needs, found):
            value = torch.zeros_like(exact[name]) if gradient is None else gradient
            eager = [rough[name]] if name in rough else []
            errors.append(_compare("gradient of " + name, value, exact[name], eager, spreads[name]))
        return errors

    def _by_torch(
        self, tensors: tuple[torch.Tensor, ...], needs: tuple[str, ...], cotangents: tuple[torch.Tensor, ...]
    ) -> dict[str, torch.Tensor]:
        """Gradients of the dense meaning by torch in the inputs' dtype."""
        inputs = tuple(t.detach().requires_grad_(t.is_floating_point()) for t in tensors)
        base = make_evaluator(self.card, inputs, self.parameters)
        results = [base.result(*self.derivation.forward[output.name]) for output in self.card.results]
        pairs = [(r, c.to(r.dtype)) for r, c in zip(results, cotangents) if r.requires_grad]
        wanted = [t for item, t in zip(self.card.inputs, inputs) if item.name in needs]
        found = torch.autograd.grad([r for r, _ in pairs], wanted, [c for _, c in pairs], allow_unused=True)
        return {name: g for name, g in zip(needs, found) if g is not None}

    def _spreads(self, needs: tuple[str, ...], cotangents: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        """How far rounding carries each gradient, what was kept for it included."""
        gradient = self.derivation.gradient(needs)
        known, given = dict(self.wide.tensors), {}
        for output, cotangent in zip(self.card.results, cotangents):
            known[COTANGENT + output.name] = cotangent
        narrow = torch.finfo(self.eager.dtype).eps / 2
        for saved in gradient.kept:
            value = self.wide.result(saved.node, saved.axes)
            known[saved.tensor.name] = value
            if value.is_floating_point():
                self.spread(saved.node)
                stored = narrow if saved.result else self.unit
                own = (stored * value.abs()).nan_to_num(nan=0.0, posinf=0.0)
                given[saved.tensor.name] = (self._arrange(self.spread, saved.node, saved.axes) ** 2 + own**2).sqrt()
        values = Evaluator(self.wide.sizes, self.wide.parameters, known, torch.float64)
        spread = Spread(self.derivation.meaning.graph, values, self.unit, self.factor, given)
        totals = {name: torch.zeros((), dtype=torch.float64) for name in needs}
        for target in gradient.targets:
            spread(target.node)
            name = target.tensor.name[2:]
            totals[name] = totals[name] + self._arrange(spread, target.node, target.axes) ** 2
        return {name: total.sqrt() for name, total in totals.items()}


def _double(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _compare_exactly(name: str, found: torch.Tensor, exact: torch.Tensor) -> Error:
    wrong = (found != exact).flatten()
    if not wrong.numel() or not bool(wrong.any()):
        return Error(name, 0.0, (), 0.0, 0.0, 0.0, 0.0, 0.0)
    place = int(wrong.int().argmax())
    note = f"differs in {int(wrong.sum())} places"
    return Error(
        name,
        1.0,
        _unravel(place, found),
        0.0,
        float(found.flatten()[place]),
        float(exact.flatten()[place]),
        0.0,
        0.0,
        note,
    )


def _compare(
    name: str, found: torch.Tensor, exact: torch.Tensor, rough: Sequence[torch.Tensor], spread: torch.Tensor
) -> Error:
    """The error of one tensor against float64: place by place by what rounding makes likely, else by eager code."""
    if found.numel() == 0:
        return Error(name, 0.0, (), 0.0, 0.0, 0.0, 0.0, 0.0)
    wide = found.double()
    finite = torch.isfinite(exact)
    zero = torch.zeros_like(exact)
    distance = torch.where(finite, (wide - exact).abs(), zero).nan_to_num(nan=float("inf"))
    eager = [torch.where(finite, (r.double() - exact).abs(), zero).nan_to_num(nan=0.0) for r in rough]
    most = max((float(one.max()) for one in eager), default=0.0)
    usual = max((float(one.mean()) for one in eager), default=0.0)
    number = torch.finfo(found.dtype)
    size = torch.where(finite, exact.abs(), zero)
    flushed = 2.0**24 * torch.finfo(summed(found.dtype)).tiny * max(1.0, float(size.max()))  # weights in the sums
    stored = number.eps * (size + number.tiny) + flushed
    likely = spread.expand(exact.shape).nan_to_num(nan=0.0, posinf=0.0)
    allowed = (_SPREADS * likely + stored).clamp(min=2 * most)
    excess = torch.where(distance > 0, distance / allowed.clamp(min=1e-300), zero)
    place = int(excess.argmax())
    return Error(
        name,
        float(distance.flatten()[place]),
        _unravel(place, found),
        float(allowed.flatten()[place]),
        float(wide.flatten()[place]),
        float(exact.flatten()[place]),
        float(distance.mean()),
        max(2 * usual, 2 * float(likely.mean()) + float(stored.mean())),
        _special(wide, exact),
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
