"""How each kind of node is spelt: arithmetic, conditions, reads of tensors, reductions."""

from __future__ import annotations

import math
from collections.abc import Callable

from attnc.ir import Node
from attnc.ir.node import BOOL, FLOAT, INT
from attnc.ir.rewrite import substitute

from ..exponents import split_exponent, split_reference
from .emitter import Emitter, Value
from .names import literal
from .reads import read

LOG2_E = math.log2(math.e)


def _const(em: Emitter, node: Node) -> Value:
    return Value(literal(node.attribute, node.type), node.type)


def _param(em: Emitter, node: Node) -> Value:
    known = em.names.constant(node)
    if known is not None and node.type == INT:
        return Value(str(known), INT)
    assert not node.attribute.startswith("#"), f"no {node.attribute[1:]} here"
    name = em.names.parameter(node.attribute, node.type)
    kind = em.names.float if node.type == FLOAT else "tl.int64"
    return em.define(Value(f"tl.cast({name}, {kind})", node.type, wide=True), name)


def _size(em: Emitter, node: Node) -> Value:
    known = em.names.constant(node)
    return Value(str(known) if known is not None else em.names.size(node.attribute), INT)


def _index(em: Emitter, node: Node) -> Value:
    level = em.level_of(node.axes)
    axis = node.attribute
    dims = (axis,) if em.block(axis) is not None else ()
    return Value(em.coordinate(axis), INT, dims, level)


def _stop(em: Emitter, node: Node) -> Value:
    return em.value(node.args[0])


def _at(em: Emitter, node: Node) -> Value:
    """A value at other positions of outer axes: computed there."""
    moves = list(zip(node.attribute, node.args[1:]))
    if not any(em.value(p).dims for _, p in moves) and all(em.bind(axis, p) for axis, p in moves):
        return em.value(node.args[0])
    return em.value(substitute(em.graph, node.args[0], dict(zip(node.attribute, node.args[1:]))))


def _reduce(em: Emitter, node: Node) -> Value:
    """In the scope of what it keeps."""
    from .reductions import reduction

    level = em.level_of(node.axes) if node.axes else 0
    with em.at_level(max(level, _running_level(em, node))):
        return reduction(em, node)


def _running_level(em: Emitter, node: Node) -> int:
    """Sums of what a pass accumulates are made where that stands."""
    from attnc.ir.node import walk

    return em.depth if any(part in em.statistics for part in walk(node)) else 0


# --- combining values ----------------------------------------------------------------------------------------------


def joined(em: Emitter, type: str, values: list[Value], spell: Callable[[list[str]], str], stem: str = "t") -> Value:
    """A value computed of others, each spread over the dimensions of all."""
    dims = em.union(*(value.dims for value in values))
    level = max((value.level for value in values), default=0)
    texts = [em.spread(value, dims) for value in values]
    wide = type == INT and any(value.wide for value in values)
    return em.define(Value(spell(texts), type, dims, level, wide), stem)


def _guard(em: Emitter, node: Node) -> Value:
    return _select(em, node, node.args[0], node.args[1], em.graph.zero(node.type))


def _select(em: Emitter, node: Node, condition: Node, then: Node, other: Node) -> Value:
    values = [em.value(part) for part in (condition, then, other)]
    if node.type == FLOAT and not any(v.dims or not _is_literal(v.text) for v in values[1:]):
        values[1] = Value(f"tl.full([], {values[1].text}, {em.names.float})", FLOAT)
    if node.type == BOOL:
        values = [values[0], *(_as_tensor(em, value) for value in values[1:])]
    return joined(em, node.type, values, lambda t: f"tl.where({', '.join(t)})")


def _is_literal(text: str) -> bool:
    return text[:1].isdigit() or text[:1] == "-" or text.startswith("float(")


def _as_tensor(em: Emitter, value: Value) -> Value:
    if value.text not in ("True", "False"):
        return value
    return Value(f"tl.full([], {1 if value.text == 'True' else 0}, tl.int1)", BOOL)


# --- numbers -------------------------------------------------------------------------------------------------------


def _map(em: Emitter, node: Node) -> Value:
    if node.op == "where":
        return _select(em, node, *node.args)
    if node.op == "exp":
        return _exp(em, node)
    if node.is_sum:
        return _sum(em, node) if node.type == FLOAT else _integer_sum(em, node)
    if node.is_product and node.type == FLOAT:
        return scaled_product(em, node, 1.0)
    if node.op in ("at_most_zero", "equal_zero"):
        return _integer_condition(em, node)
    args = [em.value(arg) for arg in node.args]
    if node.type == BOOL:
        return _condition(em, node, args)
    if node.type == INT:
        return _integer(em, node, args)
    if node.op == "to_float":
        known = em.number(node)
        if known is not None:
            return Value(literal(known, FLOAT), FLOAT)
        return joined(em, FLOAT, args, lambda t: f"tl.cast({t[0]}, {em.names.float})")
    return joined(em, FLOAT, [_as_number(em, arg) for arg in args], lambda t: _call(em, node.op, t), node.op)


def _as_number(em: Emitter, value: Value) -> Value:
    """A literal as Triton's functions take it."""
    if not _is_literal(value.text):
        return value
    return Value(f"tl.full([], {value.text}, {em.names.float})", FLOAT)


def _call(em: Emitter, op: str, texts: list[str]) -> str:
    if op in _FLOAT_CALLS:
        return f"{_FLOAT_CALLS[op]}({', '.join(texts)})"
    return f"{op}({', '.join(texts)})"


_FLOAT_CALLS = {
    "log": "tl.log",
    "erf": "tl.erf",
    "abs": "tl.abs",
    "sigmoid": "tl.sigmoid",
    "max": "larger",
    "min": "smaller",
    "mod": "float_mod",
}


def _exp(em: Emitter, node: Node) -> Value:
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
        return joined(em, FLOAT, both, lambda t: _call(em, "finite_or", t))
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


def _sum(em: Emitter, node: Node) -> Value:
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


# --- integers ------------------------------------------------------------------------------------------------------


def _integer(em: Emitter, node: Node, args: list[Value]) -> Value:
    if node.op in ("floor", "ceil", "round"):
        spell = {"floor": "tl.floor", "ceil": "tl.ceil", "round": "round_even"}[node.op]
        value = joined(em, INT, args, lambda t: f"tl.cast({spell}({t[0]}), tl.int64)")
        return Value(value.text, INT, value.dims, value.level, True)
    args = _widened(em, node, args)
    if node.is_product:
        texts = list(node.attribute)
        return joined(em, INT, args, lambda t: " * ".join(x for x, e in zip(t, texts) for _ in range(int(e))))
    if node.op in ("floordiv", "mod"):
        return _quotient(em, node, args)
    return joined(em, INT, args, lambda t: _INTEGER_CALLS[node.op](t))


def _widened(em: Emitter, node: Node, args: list[Value]) -> list[Value]:
    """Operands with 64 bits unless an interval proves that 32 hold the result and each of them."""
    narrow = all(em.intervals.fits_narrow(part) for part in (node, *node.args))
    if narrow or any(value.wide for value in args):
        return args
    return [Value(em.cast_wide(v), INT, v.dims, v.level, not v.text.lstrip("-").isdigit()) for v in args]


def _quotient(em: Emitter, node: Node, args: list[Value]) -> Value:
    low, _ = em.intervals(node.args[0])
    divisor, _ = em.intervals(node.args[1])
    if low >= 0 and divisor > 0:
        operator = "//" if node.op == "floordiv" else "%"
        return joined(em, INT, args, lambda t: f"{t[0]} {operator} {t[1]}")
    return joined(em, INT, args, lambda t: f"{node.op}({t[0]}, {t[1]})")


def _integer_sum(em: Emitter, node: Node) -> Value:
    coefficients, constant = node.attribute
    args = _widened(em, node, [em.value(arg) for arg in node.args])

    def spell(texts: list[str]) -> str:
        text = ""
        for coefficient, part in sorted(zip(coefficients, texts), key=lambda item: item[0] < 0):
            factor = "" if abs(coefficient) == 1 else f" * {abs(coefficient)}"
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} {part}{factor}" if text else f"{'-' if coefficient < 0 else ''}{part}{factor}"
        return f"({text} {'-' if constant < 0 else '+'} {abs(constant)})" if constant else f"({text})"

    return joined(em, INT, args, spell)


_INTEGER_CALLS: dict[str, Callable[[list[str]], str]] = {
    "max": lambda t: f"tl.maximum({t[0]}, {t[1]})",
    "min": lambda t: f"tl.minimum({t[0]}, {t[1]})",
    "abs": lambda t: f"tl.abs({t[0]})",
    "sign": lambda t: f"(tl.cast({t[0]} > 0, tl.int32) - tl.cast({t[0]} < 0, tl.int32))",
    "bit_and": lambda t: f"({t[0]} & {t[1]})",
    "bit_xor": lambda t: f"({t[0]} ^ {t[1]})",
    "shift_left": lambda t: f"shift_left({t[0]}, {t[1]})",
    "shift_right": lambda t: f"shift_right({t[0]}, {t[1]})",
    "hash": lambda t: f"hash({t[0]}, {t[1]})",
}


# --- conditions ----------------------------------------------------------------------------------------------------


def _condition(em: Emitter, node: Node, args: list[Value]) -> Value:
    if node.op in ("and", "or"):
        operator = " & " if node.op == "and" else " | "
        args = sorted(args, key=lambda value: (len(value.dims), value.level))
        return joined(em, BOOL, args, lambda t: operator.join(t))
    if node.op == "not":
        return joined(em, BOOL, args, lambda t: f"({t[0]} == 0)")
    operator = {"less": "<", "at_most": "<=", "equal": "=="}[node.op]
    return joined(em, BOOL, args, lambda t: f"({t[0]} {operator} {t[1]})")


def _integer_condition(em: Emitter, node: Node) -> Value:
    """`form <= 0` or `form == 0`, the negative terms on the right: `j <= i`."""
    (form,) = node.args
    operator = "<=" if node.op == "at_most_zero" else "=="
    if not form.is_sum:
        return joined(em, BOOL, [em.value(form)], lambda t: f"({t[0]} {operator} 0)")
    coefficients, constant = form.attribute
    graph = em.graph
    left = [(c, term) for c, term in zip(coefficients, form.args) if c > 0]
    right = [(-c, term) for c, term in zip(coefficients, form.args) if c < 0]
    sides = [
        graph.add(graph.combine(left), graph.const(max(constant, 0))) if left else graph.const(max(constant, 0)),
        graph.add(graph.combine(right), graph.const(max(-constant, 0))) if right else graph.const(max(-constant, 0)),
    ]
    values = [em.value(side) for side in sides]
    return joined(em, BOOL, values, lambda t: f"({t[0]} {operator} {t[1]})")


def _opaque(em: Emitter, node: Node) -> Value:
    raise AssertionError(f"{node.attribute[1]} reached code generation")


RULES: dict[str, Callable[[Emitter, Node], Value]] = {
    "const": _const,
    "param": _param,
    "size": _size,
    "index": _index,
    "read": read,
    "guard": _guard,
    "stop": _stop,
    "at": _at,
    "reduce": _reduce,
    "map": _map,
    "opaque": _opaque,
}

__all__ = ["LOG2_E", "RULES", "joined", "scaled"]
