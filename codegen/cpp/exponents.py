"""Exponents of large scores: exp(s - m) computes s exactly as the sweep did that found m, and then subtracts.

Fused into one operation, c·x - m has an error as large as half a unit of c·x, which for scores of 1e8 and more makes
exp(s - m) of the largest score infinite. So the score is rounded for itself, in the max and in the exponent alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.ir import Node
from attnc.ir.node import FLOAT, walk
from attnc.planning.plan import SHARES

from .names import literal

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
        part in em.statistics or (part.kind == "read" and part.attribute.origin in ("saved", "temporary", SHARES))
        for part in walk(term)
    )


def rounded(em: Emitter, node: Node) -> str:
    """A value with lanes that no later operation is fused with, nor the products in it with its additions: which of
    them a compiler fuses depends on what else it sees."""
    if not node.is_sum:
        value = em.with_lanes(em.value(node))
        return em.define(FLOAT, f"rounded({value.text})", value.level, lanes=True).text
    coefficients, constant = node.attribute
    parts = [_term(em, coefficient, term) for coefficient, term in zip(coefficients, node.args)]
    if constant:
        parts.append(f"splat<T>({literal(constant, FLOAT)})")
    total = em.define(FLOAT, f"({' + '.join(parts)})", em.level_of(node.axes), lanes=True)
    return em.define(FLOAT, f"rounded({total.text})", total.level, lanes=True).text


def _term(em: Emitter, coefficient: float, term: Node) -> str:
    value = em.with_lanes(em.value(term))
    if coefficient not in (1, -1):
        value = em.define(FLOAT, f"({literal(coefficient, FLOAT)} * {value.text})", value.level, lanes=True)
    if term.is_product or coefficient not in (1, -1):
        value = em.define(FLOAT, f"rounded({value.text})", value.level, lanes=True)
    return f"(-{value.text})" if coefficient == -1 else value.text


__all__ = ["rounded", "split_exponent"]
