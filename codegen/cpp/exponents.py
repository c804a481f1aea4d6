"""Exponents of large scores: exp(s - m) computes s exactly as the sweep did that found m, and then subtracts.

Fused into one operation, c·x - m has an error as large as half a unit of c·x, which for scores of 1e8 and more makes
exp(s - m) of the largest score infinite. So the score is rounded for itself, in the max and in the exponent alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.ir import Node
from attnc.ir.node import FLOAT, walk

if TYPE_CHECKING:
    from .emitter import Emitter


def split_exponent(em: Emitter, exponent: Node) -> tuple[Node, Node] | None:
    """A sum as a score and the statistics beside it; None where it has but one of these."""
    coefficients, constant = exponent.attribute
    score: list[tuple[float, Node]] = []
    rest: list[tuple[float, Node]] = []
    for coefficient, term in zip(coefficients, exponent.args):
        (rest if _is_statistic(em, term) else score).append((coefficient, term))
    if not score or not rest:
        return None
    own = em.graph.add(em.graph.combine(score), em.graph.const(constant))
    return own, em.graph.combine(rest)


def _is_statistic(em: Emitter, term: Node) -> bool:
    """Summed up by this pass or kept by an earlier one."""
    return any(
        part in em.statistics or (part.kind == "read" and part.attribute.origin in ("saved", "temporary"))
        for part in walk(term)
    )


def rounded(em: Emitter, node: Node) -> str:
    """A value with lanes that no later operation is fused with."""
    value = em.with_lanes(em.value(node))
    return em.define(FLOAT, f"rounded({value.text})", value.level, lanes=True).text


__all__ = ["rounded", "split_exponent"]
