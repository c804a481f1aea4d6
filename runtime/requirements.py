"""Requirements that read tensors: their meaning over the tensors of a call, checked before any kernel runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from attnc.card import Card
from attnc.diagnostics import Findings
from attnc.ir.axis import in_order
from attnc.lowering.meaning import Requirement

from .mistakes import RequirementFails
from .places import place_of_requirement
from .signature import Parameters

if TYPE_CHECKING:
    from attnc.spec import Attention

    from .reference import Evaluator


def check_requirements(
    attention: Attention, card: Card, tensors: Sequence[torch.Tensor], parameters: Parameters
) -> None:
    """Every `require` that reads tensors must hold everywhere; AttnError names those that do not and where."""
    from .dense import make_evaluator

    statics = tuple((p.name, parameters[p.name]) for p in card.statics)
    evaluator = make_evaluator(card, tuple(tensor.detach() for tensor in tensors), parameters)
    findings = Findings()
    for known, requirement in zip(card.requirements, attention.derivation(statics).meaning.requirements):
        if known.condition is None:
            where = _first_failure(evaluator, requirement)
            if where is not None:
                place = place_of_requirement(card, requirement.text)
                findings.add(RequirementFails(card.name, requirement.text, where, place))
    findings.raise_if_any()


def _first_failure(evaluator: Evaluator, requirement: Requirement) -> tuple[tuple[str, object], ...] | None:
    """The first batch entry and head for which a requirement does not hold; None where it holds for all."""
    fails = ~evaluator(requirement.condition)
    if not fails.any():
        return None
    names = [axis.name for axis in in_order(requirement.condition.axes)]
    return tuple(zip(names, fails.nonzero()[0].tolist()))
