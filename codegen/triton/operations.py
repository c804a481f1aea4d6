"""How each kind of node is spelt: arithmetic, conditions, reads of tensors, reductions."""

from __future__ import annotations

from collections.abc import Callable

from attnc.ir import Node
from attnc.ir.node import BOOL, FLOAT, INT
from attnc.ir.rewrite import substitute
from attnc.planning.plan import STEP

from .arithmetic import call, exponential, from_order, joined, scaled_product, sum_of
from .emitter import Emitter, Value
from .names import literal
from .reads import read


def _const(em: Emitter, node: Node) -> Value:
    return Value(literal(node.attribute, node.type), node.type)


def _param(em: Emitter, node: Node) -> Value:
    known = em.names.constant(node)
    if known is not None and node.type == INT:
        return Value(str(known), INT)
    is_step = node.attribute.startswith(STEP)
    assert is_step or not node.attribute.startswith("#"), f"no {node.attribute[1:]} here"
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
    """Sums of what a pass accumulates are made where that stands, and what tells of a tile where that is known."""
    from attnc.ir.node import walk

    parts = set(walk(node))
    if parts & em.statistics:
        return em.depth
    return max((level for corner, level in em.corners.items() if corner in parts), default=0)


# --- combining values ----------------------------------------------------------------------------------------------


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
        return exponential(em, node)
    if node.is_sum:
        return sum_of(em, node) if node.type == FLOAT else _integer_sum(em, node)
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
    if node.op == "from_order":
        return joined(em, FLOAT, args, lambda t: from_order(em, t[0]))
    return joined(em, FLOAT, [_as_number(em, arg) for arg in args], lambda t: call(em, node.op, t), node.op)


def _as_number(em: Emitter, value: Value) -> Value:
    """A literal as Triton's functions take it."""
    if not _is_literal(value.text):
        return value
    return Value(f"tl.full([], {value.text}, {em.names.float})", FLOAT)


# --- integers ------------------------------------------------------------------------------------------------------


def _integer(em: Emitter, node: Node, args: list[Value]) -> Value:
    if node.op in ("floor", "ceil", "round"):
        spell = {"floor": "tl.floor", "ceil": "tl.ceil", "round": "round_even"}[node.op]
        value = joined(em, INT, args, lambda t: f"tl.cast({spell}({t[0]}), tl.int64)")
        return Value(value.text, INT, value.dims, value.level, True)
    if node.op == "in_order":
        value = joined(em, INT, [_as_number(em, arg) for arg in args], lambda t: f"in_order({t[0]})")
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

__all__ = ["RULES"]
