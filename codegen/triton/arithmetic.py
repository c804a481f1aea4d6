"""Numbers in Triton: functions, exponentials, products and sums of values with blocks of dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable

from attnc.ir import Node
from attnc.ir.node import FLOAT, INT

from ..exponents import split_exponent, split_reference
from .emitter import Emitter, Value
from .names import literal

LOG2_E = math.log2(math.e)


def joined(em: Emitter, type: str, values: list[Value], spell: Callable[[list[str]], str], stem: str = "t") -> Value:
    """A value computed of others, each spread over the dimensions of all."""
    dims = em.union(*(value.dims for value in values))
    level = max((value.level for value in values), default=0)
    texts = [em.spread(value, dims) for value in values]
    wide = type == INT and any(value.wide for value in values)
    return em.define(Value(spell(texts), type, dims, level, wide), stem)


def call(em: Emitter, op: str, texts: list[str]) -> str:
    if op in _FLOAT_CALLS:
        return f"{_FLOAT_CALLS[op]}({', '.join(texts)})"
    return f"{op}({', '.join(texts)})"


def from_order(em: Emitter, key: str) -> str:
    """The number that an integer in the order of numbers stands for."""
    return f"{'from_wide_order' if em.names.float == 'tl.float64' else 'from_order'}({key})"


_FLOAT_CALLS = {
    "log": "tl.log",
    "erf": "tl.erf",
    "abs": "tl.abs",
    "sigmoid": "tl.sigmoid",
    "max": "larger",
    "min": "smaller",
    "mod": "float_mod",
}


def exponential(em: Emitter, node: Node) -> Value:
    """In base 2; the score and what shifts it are scaled apart, so that the largest score's exponent is exactly 0."""
    graph = em.graph
    (argument,) = node.args
    parts = split_exponent(graph, em.statistics, argument) if argument.is_sum else None
    if parts is None:
        values = [scaled(em, argument, LOG2_E)]
        return joined(em, FLOAT, values, lambda t: f"tl.exp2({t[0]})", "exp")
    factor, score, rest = parts
    score, rest = graph.scale(factor, score), graph.scale(factor, rest)
    values = [scaled(em, score, LOG2_E), scaled(em, graph.neg(rest), LOG2_E)]
    return joined(em, FLOAT, values, lambda t: f"tl.exp2({t[0]} - {t[1]})", "exp")


def scaled(em: Emitter, node: Node, factor: float) -> Value:
    """A multiple of a value: numbers go into the factors that are there already."""
    if node.kind == "stop":
        return scaled(em, node.args[0], factor)
    if node.kind == "map" and node.op == "finite_or":
        both = [scaled(em, arg, factor) for arg in node.args]
        return joined(em, FLOAT, both, lambda t: call(em, "finite_or", t))
    return em.value(em.graph.scale(factor, node))


def scaled_product(em: Emitter, node: Node, factor: float) -> Value:
    """A product times a number; factors with fewer dimensions are multiplied first, powers below 0 divide."""
    top: list[Value] = []
    bottom: list[Value] = []
    for base, exponent in zip(node.args, node.attribute):
        known = em.number(base)
        if known is not None and known > 0:
            factor *= known**exponent
            continue
        (top if exponent > 0 else bottom).append(_power(em, em.value(base), abs(exponent)))
    result = _multiplied(em, top, factor)
    if bottom:
        divisor = _multiplied(em, bottom, 1.0)
        numerator = result if result is not None else Value(literal(factor, FLOAT), FLOAT)
        assert divisor is not None
        result = joined(em, FLOAT, [numerator, divisor], lambda t: f"{t[0]} / {t[1]}")
    return result if result is not None else Value(literal(factor, FLOAT), FLOAT)


def _multiplied(em: Emitter, values: list[Value], factor: float) -> Value | None:
    """The product of values, smaller ones first; None of no values at all (the factor is left)."""
    if not values:
        return None
    values = sorted(values, key=lambda value: (len(value.dims), value.level))
    result = values[0]
    if factor != 1:
        result = joined(em, FLOAT, [result], lambda t: f"{t[0]} * {literal(factor, FLOAT)}")
    for value in values[1:]:
        result = joined(em, FLOAT, [result, value], lambda t: f"{t[0]} * {t[1]}")
    return result


def _power(em: Emitter, value: Value, exponent: float) -> Value:
    if exponent == 1:
        return value
    if 2 * exponent == int(2 * exponent) and exponent <= 16:
        return joined(em, FLOAT, [value], lambda t: " * ".join(t * int(exponent) + _root(em, t[0], exponent)))
    return joined(em, FLOAT, [value], lambda t: f"power({t[0]}, {literal(exponent, FLOAT)})")


def _root(em: Emitter, text: str, exponent: float) -> list[str]:
    """The square root that a half in an exponent stands for."""
    if exponent == int(exponent):
        return []
    return [f"tl.sqrt_rn({text})" if em.names.compute == "float" else f"tl.sqrt({text})"]


def sum_of(em: Emitter, node: Node) -> Value:
    """Terms with fewer dimensions are added up first, but for those beside what values are measured from."""
    measured = split_reference(em.graph, node)
    if measured is not None and not (measured[0] == 1 and measured[-1].is_const(0.0)):
        factor, score, reference, rest = measured
        distance = em.value(em.graph.add(score, reference))
        if factor != 1:
            distance = joined(em, FLOAT, [distance], lambda t: f"{t[0]} * {literal(factor, FLOAT)}")
        return joined(em, FLOAT, [distance, em.value(rest)], lambda t: f"{t[0]} + {t[1]}")
    coefficients, constant = node.attribute
    terms = []
    for coefficient, term in zip(coefficients, node.args):
        terms.append((coefficient, _term(em, term, abs(coefficient))))
    terms.sort(key=lambda item: (len(item[1].dims), item[1].level, item[0] < 0))
    if len(terms) == 1 and not constant and terms[0][0] > 0:
        return terms[0][1]
    groups: list[list[tuple[float, Value]]] = []
    for item in terms:
        if groups and groups[-1][0][1].dims == item[1].dims:
            groups[-1].append(item)
        else:
            groups.append([item])
    values: list[tuple[float, Value]] = [(1.0, Value(literal(constant, FLOAT), FLOAT))] if constant else []
    for group in groups:
        group += values
        group.sort(key=lambda item: item[0] < 0)
        values = [group[0]] if len(group) == 1 else [(1.0, _added(em, group))]
    sign, total = values[0]
    return total if sign > 0 else joined(em, FLOAT, [total], lambda t: f"-{t[0]}")


def _term(em: Emitter, term: Node, coefficient: float) -> Value:
    """A term times a number, kept under the node that says so."""
    if coefficient == 1:
        return em.value(term)
    node = em.graph.scale(coefficient, term)
    if node in em.known or not (node.is_sum and len(node.args) == 1 and not node.attribute[1]):
        return em.value(node)
    for scope in reversed(em.scopes):
        if node in scope.values:
            return scope.values[node]
        if scope.fixes(node.axes):
            break
    if term.is_product:
        value = scaled_product(em, term, coefficient)
    else:
        value = joined(em, FLOAT, [em.value(term)], lambda t: f"{t[0]} * {literal(coefficient, FLOAT)}")
    em.scopes[value.level].values[node] = value
    return value


def _added(em: Emitter, group: list[tuple[float, Value]]) -> Value:
    def spell(texts: list[str]) -> str:
        text = texts[0] if group[0][0] > 0 else f"-{texts[0]}"
        for (sign, _), other in zip(group[1:], texts[1:]):
            text += f" + {other}" if sign > 0 else f" - {other}"
        return text

    return joined(em, FLOAT, [value for _, value in group], spell)


__all__ = ["LOG2_E", "call", "exponential", "joined", "scaled", "scaled_product", "sum_of"]
