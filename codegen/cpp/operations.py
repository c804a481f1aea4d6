"""How each kind of node is spelt: arithmetic, conditions, reads of tensors, reductions inside a loop."""

from __future__ import annotations

from collections.abc import Callable

from attnc.ir import Axis, Node
from attnc.ir.axis import in_order
from attnc.ir.node import BOOL, FLOAT, INT, walk
from attnc.ir.rewrite import substitute
from attnc.planning.plan import STEP

from ..exponents import split_exponent, split_reference
from ..names import identifier
from .emitter import Emitter, Value
from .exponents import rounded
from .names import literal, size_name, step_name
from .reads import read


def _const(em: Emitter, node: Node) -> Value:
    return Value(literal(node.attribute, node.type), node.type)


def _param(em: Emitter, node: Node) -> Value:
    known = em.names.constant(node)
    if known is not None and node.type == INT:
        return Value(literal(known, INT), INT)
    if node.attribute.startswith(STEP):
        return Value(step_name(node), node.type)
    name = f"x.p_{identifier(node.attribute)}" if not node.attribute.startswith("#") else node.attribute[1:]
    return Value(name, node.type)


def _size(em: Emitter, node: Node) -> Value:
    known = em.constant(node)
    return Value(literal(known, INT) if known is not None else f"x.{size_name(node.attribute)}", INT)


def _index(em: Emitter, node: Node) -> Value:
    axis: Axis = node.attribute
    level = em.level_of(node.axes)
    base = em.coordinate(axis)
    if em.scopes[level].lane_axis is axis:
        text = f"(splat_ints<T>((int32_t)({base})) + iota<T>())"
        return em.define(INT, text, level, lanes=True)
    return Value(base, INT, level)


# --- structure -----------------------------------------------------------------------------------------------------


def _guard(em: Emitter, node: Node) -> Value:
    zero = em.graph.zero(node.type)
    return _select(em, node, node.args[0], node.args[1], zero)


def _select(em: Emitter, node: Node, condition: Node, then: Node, other: Node) -> Value:
    c, a, b = (em.value(part) for part in (condition, then, other))
    level = max(c.level, a.level, b.level)
    if not (c.lanes or a.lanes or b.lanes):
        return em.define(node.type, f"({c.text} ? {a.text} : {b.text})", level)
    wide = node.type == INT and not (_narrow(em, then) and _narrow(em, other))
    left, right = em.with_lanes(a, wide), em.with_lanes(b, wide)
    if not c.lanes:
        text = f"({c.text} ? {left.text} : {right.text})"
    else:
        text = f"select({c.text}, {left.text}, {right.text})"
    return em.define(node.type, text, level, lanes=True, wide=wide)


def _stop(em: Emitter, node: Node) -> Value:
    return em.value(node.args[0])


def _at(em: Emitter, node: Node) -> Value:
    """A value at other positions of outer axes: computed there."""
    if all(em.bind(axis, position) for axis, position in zip(node.attribute, node.args[1:])):
        return em.value(node.args[0])
    return em.value(substitute(em.graph, node.args[0], dict(zip(node.attribute, node.args[1:]))))


def _reduce(em: Emitter, node: Node) -> Value:
    """A reduction as a loop, in the scope of what it keeps; lanes run along it where none are in use there."""
    from .loops import reduction_loop

    level = em.level_of(node.axes) if node.axes else 0
    level = max(level, _running_level(em, node))
    with em.at_level(level):
        return reduction_loop(em, node)


def _running_level(em: Emitter, node: Node) -> int:
    """Reductions over values that stand in memory stay in the scope where those are loaded; outside of lanes that they
    do not have."""
    if not any(part in em.known for part in walk(node)):
        return 0
    if em.lane_axis is None:
        return em.depth
    is_read = any(part in em.statistics for part in walk(node))
    return next(n for n, scope in enumerate(em.scopes) if scope.lane_axis is not None) - 1 if is_read else 0


# --- pointwise -----------------------------------------------------------------------------------------------------


def _narrow(em: Emitter, node: Node) -> bool:
    return em.intervals.fits_narrow(node)


def _map(em: Emitter, node: Node) -> Value:
    if node.op in ("at_most_zero", "equal_zero"):
        return _integer_condition(em, node)
    if node.op == "where":
        return _select(em, node, *node.args)
    if node.op == "exp" and node.args[0].is_sum and em.lane_axis in node.axes:
        parts = split_exponent(em.graph, em.statistics, node.args[0])
        if parts is not None:
            return _exp_of_difference(em, *parts)
    if node.is_sum and node.type == FLOAT and em.lane_axis in node.axes:
        measured = split_reference(em.graph, node)
        if measured is not None:
            return _distance(em, *measured)
    args = [em.value(arg) for arg in node.args]
    level = max((arg.level for arg in args), default=0)
    lanes = any(arg.lanes for arg in args)
    if node.type == BOOL:
        return _condition(em, node, args, level, lanes)
    if node.type == INT:
        return _integer(em, node, args, level, lanes)
    if node.is_sum:
        return em.define(FLOAT, _sum_text(node, [_float(em, a, lanes) for a in args]), level, lanes)
    if node.is_product:
        return em.define(FLOAT, _product_text(em, node, args, lanes), level, lanes)
    if node.op == "to_float":
        (arg,) = args
        text = f"to_float<T>({arg.text})" if lanes else f"T({arg.text})"
        return em.define(FLOAT, text, level, lanes)
    if node.op == "unit":
        (arg,) = args
        bits = f"upper_bits({em.with_lanes(arg, True).text if lanes else arg.text})"
        bits = f"to_float<T>({bits})" if lanes else f"T({bits})"
        return em.define(FLOAT, f"(({bits} + T(0.5)) * T({2.0**-23!r}))", level, lanes)
    if node.op == "from_order":
        (arg,) = args
        return em.define(FLOAT, f"from_order<T>({em.with_lanes(arg, True).text if lanes else arg.text})", level, lanes)
    texts = [_float(em, arg, lanes) for arg in args]
    return em.define(FLOAT, _FLOAT_CALLS.get(node.op, _call(node.op))(texts), level, lanes)


def _exp_of_difference(em: Emitter, factor: float, score: Node, rest: Node) -> Value:
    total = _difference(em, factor, score, rest)
    return em.define(FLOAT, f"exp({total.text})", total.level, lanes=True)


def _difference(em: Emitter, factor: float, score: Node, rest: Node) -> Value:
    """factor (score + rest), the score rounded for itself."""
    other = em.value(rest)
    own = rounded(em, score) if em.lane_axis in score.axes else em.value(score).text
    lanes = em.with_lanes(other).text if em.lane_axis in score.axes or other.lanes else other.text
    level = max(other.level, em.level_of(score.axes))
    times = "" if factor == 1 else f"{literal(factor, FLOAT)} * "
    return em.define(FLOAT, f"({times}({own} + {lanes}))" if times else f"({own} + {lanes})", level, lanes=True)


def _distance(em: Emitter, factor: float, score: Node, reference: Node, rest: Node) -> Value:
    distance = _difference(em, factor, score, reference)
    if rest.is_const(0.0):
        return distance
    further = em.value(rest)
    text = f"({distance.text} + {em.with_lanes(further).text})"
    return em.define(FLOAT, text, max(distance.level, further.level), lanes=True)


def _float(em: Emitter, value: Value, lanes: bool) -> str:
    return em.with_lanes(value).text if lanes else value.text


def _sum_text(node: Node, texts: list[str]) -> str:
    coefficients, constant = node.attribute
    parts: list[str] = []
    for coefficient, text in zip(coefficients, texts):
        if coefficient == 1:
            parts.append(f" + {text}")
        elif coefficient == -1:
            parts.append(f" - {text}")
        else:
            parts.append(f" + {literal(coefficient, FLOAT)} * {text}")
    if constant:
        parts.append(f" + {literal(constant, FLOAT)}")
    text = "".join(parts)
    return f"({text[3:]})" if text.startswith(" + ") else f"(-{text[3:]})"


def _product_text(em: Emitter, node: Node, args: list[Value], lanes: bool) -> str:
    """Scalar factors first, so that a vector is multiplied once by them; numbers are divided, which rounds once."""
    scalars = [_power(a.text, e) for a, e in zip(args, node.attribute) if not a.lanes and e != -1]
    divisors = [a.text for a, e in zip(args, node.attribute) if not a.lanes and e == -1]
    vectors = [_power(a.text, e, lanes=True) for a, e in zip(args, node.attribute) if a.lanes and e != -1]
    below = [a.text for a, e in zip(args, node.attribute) if a.lanes and e == -1]
    head = " * ".join(scalars)
    if divisors:
        head = f"{head or 'T(1)'} / ({' * '.join(divisors)})"
        scalars.append("")
    if not lanes:
        return f"({head})"
    if (head and scalars != [a.text for a in args if not a.lanes]) or len(scalars) > 1:
        head = em.define(FLOAT, head, max(a.level for a in args if not a.lanes)).text
    above = " * ".join([head, *vectors] if head else vectors) or "T(1)"
    if not vectors:
        above = f"splat<T>({above})"
    return f"({above} / ({' * '.join(below)}))" if below else f"({above})" if vectors else above


def _power(text: str, exponent: float, lanes: bool = False) -> str:
    one = "splat<T>(T(1))" if lanes else "T(1)"
    if exponent == 1:
        return text
    if exponent == 0.5:
        return f"sqrt({text})"
    if exponent == -0.5:
        return f"({one} / sqrt({text}))"
    if exponent == int(exponent) and 0 < abs(exponent) <= 16:
        product = "(" + " * ".join([text] * int(abs(exponent))) + ")"
        return product if exponent > 0 else f"({one} / {product})"
    power = literal(exponent, FLOAT)
    return f"pow({text}, {f'splat<T>({power})' if lanes else power})"


def _call(name: str) -> Callable[[list[str]], str]:
    return lambda texts: f"{name}({', '.join(texts)})"


_FLOAT_CALLS: dict[str, Callable[[list[str]], str]] = {
    "power": _call("pow"),
    "max": _call("vmax"),
    "min": _call("vmin"),
    "mod": _call("floormod"),
    "finite_or": _call("finite_or"),
}


# --- integers ------------------------------------------------------------------------------------------------------


def _integer(em: Emitter, node: Node, args: list[Value], level: int, lanes: bool) -> Value:
    if node.op in ("floor", "ceil", "round"):
        text = f"{node.op}({args[0].text})"
        text = f"to_longs<T>({text})" if lanes else f"int64_t({text})"
        return em.define(INT, text, level, lanes, wide=lanes)
    if node.op == "in_order":
        return em.define(INT, f"in_order({args[0].text})", level, lanes, wide=lanes)
    wide = lanes and not (_narrow(em, node) and all(_narrow(em, arg) for arg in node.args))
    texts = [em.with_lanes(arg, wide).text if lanes else arg.text for arg in args]
    if node.is_sum:
        text = _integer_sum(em, node, args, lanes, wide)
    elif node.is_product:
        text = "(" + " * ".join(t for t, e in zip(texts, node.attribute) for _ in range(int(e))) + ")"
    else:
        text = _INTEGER_CALLS[node.op](texts, lanes)
    return em.define(INT, text, level, lanes, wide)


def _integer_sum(em: Emitter, node: Node, args: list[Value], lanes: bool, wide: bool) -> str:
    coefficients, constant = node.attribute
    scalars = [_scaled(c, a.text) for c, a in zip(coefficients, args) if not a.lanes]
    if constant or not scalars:
        scalars.append(str(constant))
    total = " + ".join(scalars)
    if not lanes:
        return f"({total})"
    head = f"splat_longs<T>({total})" if wide else f"splat_ints<T>((int32_t)({total}))"
    vectors = [(c, em.with_lanes(a, wide).text) for c, a in zip(coefficients, args) if a.lanes]
    text = head
    for coefficient, vector in vectors:
        if coefficient in (1, -1):
            text += f" {'+' if coefficient == 1 else '-'} {vector}"
        else:
            cast = "int64_t" if wide else "int32_t"
            text += f" + {vector} * {cast}({coefficient})"
    return f"({text})"


def _scaled(coefficient: int, text: str) -> str:
    return text if coefficient == 1 else f"int64_t({coefficient}) * {text}"


def _sign(texts: list[str], lanes: bool) -> str:
    (x,) = texts
    return f"(({x} < 0) - ({x} > 0))" if lanes else f"(int64_t({x} > 0) - int64_t({x} < 0))"


_INTEGER_CALLS: dict[str, Callable[[list[str], bool], str]] = {
    "floordiv": lambda t, lanes: f"floordiv({t[0]}, {t[1]})",
    "mod": lambda t, lanes: f"floormod({t[0]}, {t[1]})",
    "max": lambda t, lanes: f"vmax({t[0]}, {t[1]})",
    "min": lambda t, lanes: f"vmin({t[0]}, {t[1]})",
    "abs": lambda t, lanes: f"abs({t[0]})",
    "sign": _sign,
    "bit_and": lambda t, lanes: f"({t[0]} & {t[1]})",
    "bit_xor": lambda t, lanes: f"({t[0]} ^ {t[1]})",
    "shift_left": lambda t, lanes: f"shift_left({t[0]}, {t[1]})",
    "shift_right": lambda t, lanes: f"shift_right({t[0]}, {t[1]})",
    "hash": lambda t, lanes: f"hash({t[0]}, {t[1]})",
}


# --- conditions ----------------------------------------------------------------------------------------------------


def _condition(em: Emitter, node: Node, args: list[Value], level: int, lanes: bool) -> Value:
    if node.op in ("and", "or"):
        return _junction(em, node, args, level, lanes)
    if node.op == "not":
        (arg,) = args
        return em.define(BOOL, f"(~{arg.text})" if lanes else f"(!{arg.text})", level, lanes)
    operator = {"less": "<", "at_most": "<=", "equal": "=="}[node.op]
    texts = [_float(em, arg, lanes) for arg in args]
    return em.define(BOOL, f"({texts[0]} {operator} {texts[1]})", level, lanes)


def _junction(em: Emitter, node: Node, args: list[Value], level: int, lanes: bool) -> Value:
    scalars = [arg.text for arg in args if not arg.lanes]
    head = f" {'&&' if node.op == 'and' else '||'} ".join(scalars)
    if not lanes:
        return em.define(BOOL, f"({head})", level)
    vectors = [arg.text for arg in args if arg.lanes]
    if head:
        vectors.insert(0, f"splat_ints<T>(-(int32_t)({head}))")
    text = f" {'&' if node.op == 'and' else '|'} ".join(vectors)
    return em.define(BOOL, f"({text})", level, lanes=True)


def _integer_condition(em: Emitter, node: Node) -> Value:
    """`form <= 0` or `form == 0`: what varies along the lanes against the rest, in 32 bits where that fits."""
    (form,) = node.args
    operator = "<=" if node.op == "at_most_zero" else "=="
    value_parts = list(zip(form.args, form.attribute[0])) if form.is_sum else [(form, 1)]
    values = [(em.value(term), coefficient, term) for term, coefficient in value_parts]
    level = max((value.level for value, _, _ in values), default=0)
    moving = [(value, c, term) for value, c, term in values if value.lanes]
    still = [_scaled(c, value.text) for value, c, _ in values if not value.lanes]
    if form.is_sum and form.attribute[1]:
        still.append(str(form.attribute[1]))
    rest = f"-({' + '.join(still)})" if still else "0"
    if not moving:
        return em.define(BOOL, f"({' + '.join(still) or '0'} {operator} 0)", level)
    narrow = all(_narrow(em, term) and not value.wide for value, _, term in moving) and len(moving) == 1
    narrow = narrow and abs(moving[0][1]) == 1
    text = ""
    for value, coefficient, _ in moving:
        lane = em.with_lanes(value, not narrow).text
        factor = "" if abs(coefficient) == 1 else f" * int64_t({abs(coefficient)})"
        sign = "-" if coefficient < 0 else "+" if text else ""
        text += f" {sign} {lane}{factor}"
    limit = f"splat_ints<T>(clamp_narrow({rest}))" if narrow else f"splat_longs<T>({rest})"
    result = f"({text} {operator} {limit})"
    return em.define(BOOL, result if narrow else f"to_ints<T>({result})", level, lanes=True)


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

__all__ = ["RULES", "in_order"]
