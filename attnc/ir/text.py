"""Nodes as one-line expressions in the spec's notation, for plans and explanations. Not parsed by anything."""

from __future__ import annotations

from collections.abc import Mapping

from .axis import in_order
from .node import FLOAT, Node
from .printer import number

_INFIX = {"less": "<", "at_most": "<=", "equal": "==", "floordiv": "//", "mod": "%", "bit_and": "&", "bit_xor": "^"}
_SUM, _PRODUCT, _ATOM = 1, 2, 3


def expression(node: Node, names: Mapping[Node, str] | None = None, longest: int = 160) -> str:
    """The expression of a node; `names` are used for nodes that have one. Cut with … where it gets too long."""
    text = _Text(names or {}).of(node, 0)
    return text if len(text) <= longest else text[: longest - 1] + "…"


class _Text:
    def __init__(self, names: Mapping[Node, str]) -> None:
        self.names = names
        self.depth = 0

    def of(self, node: Node, around: int) -> str:
        if node in self.names:
            return self.names[node]
        if self.depth > 24:
            return "…"
        self.depth += 1
        text, level = self._one(node)
        self.depth -= 1
        return f"({text})" if level < around else text

    def _list(self, nodes: tuple[Node, ...]) -> str:
        return ", ".join(self.of(node, 0) for node in nodes)

    def _one(self, node: Node) -> tuple[str, int]:
        kind = node.kind
        if kind == "const":
            return (number(node.attribute) if node.type == FLOAT else str(node.attribute)), _ATOM
        if kind in ("param", "size"):
            return str(node.attribute).lstrip("#"), _ATOM
        if kind == "index":
            return node.attribute.name, _ATOM
        if node.is_unknown:
            return node.attribute.label, _ATOM
        if kind == "read":
            return f"{node.attribute.label}[{self._list(node.args)}]", _ATOM
        if kind == "guard":
            return f"{self.of(node.args[1], _PRODUCT)} where {self.of(node.args[0], _PRODUCT)}", 0
        if kind == "stop":
            return self.of(node.args[0], _ATOM), _ATOM
        if kind == "at":
            moves = ", ".join(f"{a.name} = {self.of(p, 0)}" for a, p in zip(node.attribute, node.args[1:]))
            return f"{self.of(node.args[0], _ATOM)} at {moves}", 0
        if kind == "reduce":
            axes = ", ".join(axis.name for axis in node.attribute)
            condition = "" if node.domain.is_const(True) else f": {self.of(node.domain, 0)}"
            return f"{node.op}[{axes}{condition}]({self.of(node.body, 0)})", _ATOM
        if kind == "scan":
            axis, is_reverse, is_exclusive = node.attribute
            name = {"sum": "cumsum", "max": "cummax", "min": "cummin"}.get(node.op, node.op)
            flags = (", reverse" if is_reverse else "") + (", exclusive" if is_exclusive else "")
            condition = "" if node.domain.is_const(True) else f": {self.of(node.domain, 0)}"
            return f"{name}[{axis.name}{flags}{condition}]({self._list((node.body, *node.args[2:]))})", _ATOM
        if kind == "root":
            f, _, low, high = (self.of(arg, 0) for arg in node.args)
            name = node.attribute.label
            return f"{node.op or 'root'}[{name}: {low} <= {name} <= {high}]({f})", _ATOM
        if kind == "recur":
            recurrence, place = node.attribute
            return f"{recurrence.states[place].label}[{', '.join(axis.name for axis in recurrence.axes[place])}]", _ATOM
        if kind == "opaque":
            return f"{node.op}({self._list(node.args)})", _ATOM
        return self._map(node)

    def _map(self, node: Node) -> tuple[str, int]:
        if node.is_sum:
            return self._sum(node), _SUM
        if node.is_product:
            parts = [self.of(arg, _ATOM) + ("" if e == 1 else f" ** {e}") for arg, e in zip(node.args, node.attribute)]
            return " * ".join(parts), _PRODUCT
        if node.op in ("and", "or"):
            return f" {node.op} ".join(self.of(arg, _SUM) for arg in node.args), 0
        if node.op in ("at_most_zero", "equal_zero"):
            return self._comparison(node.args[0], "<=" if node.op == "at_most_zero" else "=="), 0
        if node.op in _INFIX:
            a, b = (self.of(arg, _PRODUCT) for arg in node.args)
            return f"{a} {_INFIX[node.op]} {b}", _SUM if node.op in ("floordiv", "mod") else 0
        if node.op == "not":
            return f"not {self.of(node.args[0], _ATOM)}", 0
        if node.op == "where":
            c, a, b = (self.of(arg, _SUM) for arg in node.args)
            return f"{a} if {c} else {b}", 0
        if node.op in ("to_float", "finite_or"):
            return self.of(node.args[0], _ATOM), _ATOM
        return f"{node.op}({self._list(node.args)})", _ATOM

    def _sum(self, node: Node) -> str:
        coefficients, constant = node.attribute
        text = ""
        for coefficient, arg in zip(coefficients, node.args):
            size = abs(coefficient)
            factor = "" if size == 1 else (number(size) if isinstance(size, float) else str(size)) + " * "
            sign = (" - " if coefficient < 0 else " + ") if text else ("-" if coefficient < 0 else "")
            text += sign + factor + self.of(arg, _PRODUCT)
        if constant:
            size = number(abs(constant)) if isinstance(constant, float) else str(abs(constant))
            text += (" - " if constant < 0 else " + ") + size
        return text

    def _comparison(self, form: Node, operator: str) -> str:
        """`j - i <= 0` as `j <= i`: what counts negatively goes to the right."""
        if not form.is_sum:
            return f"{self.of(form, _SUM)} {operator} 0"
        coefficients, constant = form.attribute
        sides: list[list[str]] = [[], []]
        for coefficient, arg in zip(coefficients, form.args):
            factor = "" if abs(coefficient) == 1 else f"{abs(coefficient)} * "
            sides[coefficient < 0].append(factor + self.of(arg, _PRODUCT))
        if operator == "<=" and constant == 1 and sides[1]:
            return f"{' + '.join(sides[0]) or '0'} < {' + '.join(sides[1])}"
        if constant:
            sides[constant < 0].append(str(abs(constant)))
        return f"{' + '.join(sides[0]) or '0'} {operator} {' + '.join(sides[1]) or '0'}"


def axes_text(node: Node) -> str:
    return ", ".join(axis.name for axis in in_order(node.axes))
