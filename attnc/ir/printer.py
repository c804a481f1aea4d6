"""Graph -> text: one line for each node, results last. Names come from the spec; numbers are made dense."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .axis import in_order
from .node import FLOAT, Node, reachable

_INFIX = {"less": "<", "at_most": "<=", "equal": "==", "floordiv": "//", "mod": "%", "bit_and": "&", "bit_xor": "^"}


def print_graph(results: Mapping[str, Node]) -> str:
    """`%3 [i, j] float = %1 * %2 ** -1`; small leaves are written where they are used."""
    nodes = reachable(list(results.values()))
    names: dict[Node, str] = {}
    lines: list[str] = []
    for node in nodes:
        if _is_leaf(node):
            names[node] = _leaf(node)
            continue
        names[node] = f"%{len(lines)}"
        axes = ", ".join(axis.name for axis in in_order(node.axes))
        lines.append(f"{names[node]} [{axes}] {node.type} = {_operation(node, names)}")
    lines += [f"{name} = {names[node]}" for name, node in results.items()]
    return "\n".join(lines) + "\n"


def _is_leaf(node: Node) -> bool:
    return node.kind in ("const", "param", "size", "index")


def _leaf(node: Node) -> str:
    if node.kind == "index":
        return str(node.attribute.name)
    if node.kind == "const" and node.type == FLOAT:
        return number(node.attribute)
    return str(node.attribute)


def number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:.10g}" if value != int(value) or abs(value) >= 1e15 else f"{value:.1f}"


def _operation(node: Node, names: dict[Node, str]) -> str:
    args = [names[arg] for arg in node.args]
    if node.kind == "read":
        return f"read {node.attribute.label}[{', '.join(args)}]"
    if node.kind == "guard":
        return f"{args[1]} where {args[0]}"
    if node.kind == "stop":
        return f"stop {args[0]}"
    if node.kind == "at":
        moves = ", ".join(f"{axis.name} = {arg}" for axis, arg in zip(node.attribute, args[1:]))
        return f"{args[0]} at {moves}"
    if node.kind == "reduce":
        condition = "" if node.domain.is_const(True) else f": {args[1]}"
        return f"{node.op}[{', '.join(axis.name for axis in node.attribute)}{condition}]({args[0]})"
    if node.kind == "root":
        return f"root[{node.attribute.label}: {args[2]} to {args[3]}]({args[0]}), slope {args[1]}"
    if node.kind == "recur":
        recurrence, place = node.attribute
        states = ", ".join(f"{state.label} = {arg}" for state, arg in zip(recurrence.states, args))
        order = " in reverse" if recurrence.is_reverse else ""
        return f"{recurrence.states[place].label} of steps along {recurrence.axis.name}{order}: {states}"
    if node.kind == "opaque":
        return f"{node.op}({', '.join(args)})"
    return _map(node, args)


def _map(node: Node, args: list[str]) -> str:
    if node.is_sum:
        coefficients, constant = node.attribute
        parts = [_term(c, arg) for c, arg in zip(coefficients, args)]
        if constant:
            parts.append(number(constant) if isinstance(constant, float) else str(constant))
        return " + ".join(parts).replace("+ -", "- ")
    if node.is_product:
        return " * ".join(arg if e == 1 else f"{arg} ** {e}" for arg, e in zip(args, node.attribute))
    if node.op in ("and", "or"):
        return f" {node.op} ".join(args)
    if node.op == "at_most_zero":
        return f"{args[0]} <= 0"
    if node.op == "equal_zero":
        return f"{args[0]} == 0"
    if node.op in _INFIX:
        return f"{args[0]} {_INFIX[node.op]} {args[1]}"
    return f"{node.op}({', '.join(args)})"


def _term(coefficient: float, arg: str) -> str:
    if coefficient == 1:
        return arg
    if coefficient == -1:
        return f"-{arg}"
    return f"{number(coefficient) if isinstance(coefficient, float) else coefficient} * {arg}"
