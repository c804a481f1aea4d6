"""Exponents of large scores: exp(s - m) computes s exactly as the sweep did that found m, and then subtracts.

Fused into one operation, c·x - m has an error as large as half a unit of c·x, which for scores of 1e8 and more makes
exp(s - m) of the largest score infinite. So the score is rounded for itself, in the max and in the exponent alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.ir import Node
from attnc.ir.node import FLOAT

from .names import literal

if TYPE_CHECKING:
    from .emitter import Emitter


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
