"""Normal form of arithmetic: a sum is constant + Σ coefficient·term, a product is Π base**exponent.

Numeric factors live in sums only, exponentials of a product are one (exp(a)·exp(b) = exp(a + b), never split again)
unless each has an axis that the other lacks, guards move outwards through products. `exp2`, `sqrt`, division and the
like are spelled with these.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .node import BOOL, FLOAT, INT, Node

if TYPE_CHECKING:
    from .graph import Graph


class Algebra:
    """Mixed into Graph."""

    # --- sums --------------------------------------------------------------------------------------------------

    def add(self: Graph, *values: Node) -> Node:  # type: ignore[misc]
        return self.combine([(1, value) for value in values])

    def sub(self: Graph, left: Node, right: Node) -> Node:  # type: ignore[misc]
        return self.combine([(1, left), (-1, right)])

    def neg(self: Graph, value: Node) -> Node:  # type: ignore[misc]
        return self.combine([(-1, value)])

    def scale(self: Graph, factor: float, value: Node) -> Node:  # type: ignore[misc]
        return self.combine([(factor, value)])

    def combine(self: Graph, parts: list[tuple[Any, Node]]) -> Node:  # type: ignore[misc]
        """Σ coefficient·value in normal form."""
        type = FLOAT if any(value.type == FLOAT or isinstance(c, float) for c, value in parts) else INT
        terms: dict[Node, Any] = {}
        constant: Any = 0.0 if type == FLOAT else 0
        for coefficient, value in parts:
            value = self.to_type(value, type)
            if value.kind == "const":
                constant += coefficient * value.attribute if coefficient else 0
            elif value.is_sum:
                constant += coefficient * value.attribute[1]
                for inner, term in zip(value.attribute[0], value.args):
                    terms[term] = terms.get(term, 0) + coefficient * inner
            else:
                terms[value] = terms.get(value, 0) + coefficient
        return self._sum_of(terms, constant, type)

    def _sum_of(self: Graph, terms: dict[Node, Any], constant: Any, type: str) -> Node:  # type: ignore[misc]
        kept = sorted(((t, _snap(c)) for t, c in terms.items() if c != 0), key=lambda item: item[0].number)
        if not kept:
            return self.const(float(constant) if type == FLOAT else constant)
        if len(kept) == 1 and not constant:
            term, coefficient = kept[0]
            if coefficient == 1:
                return term
            if term.kind == "guard":
                return self.guard(term.args[0], self.combine([(coefficient, term.args[1])]))
        if (
            not constant
            and kept[0][0].kind == "guard"
            and len({t.args[0] if t.kind == "guard" else t for t, _ in kept}) == 1
        ):
            inner = self.combine([(c, term.args[1]) for term, c in kept])
            return self.guard(kept[0][0].args[0], inner)
        args = tuple(term for term, _ in kept)
        coefficients = tuple(float(c) if type == FLOAT else c for _, c in kept)
        axes = frozenset().union(*(term.axes for term in args))
        return self._intern("map", "add", args, (coefficients, constant), axes, type)

    # --- products ----------------------------------------------------------------------------------------------

    def mul(self: Graph, *values: Node) -> Node:  # type: ignore[misc]
        return self.product([(value, 1) for value in values])

    def div(self: Graph, left: Node, right: Node) -> Node:  # type: ignore[misc]
        return self.product([(self.to_float(left), 1), (self.to_float(right), -1)])

    def pow(self: Graph, base: Node, exponent: float) -> Node:  # type: ignore[misc]
        return self.product([(base if exponent > 0 and _is_whole(exponent) else self.to_float(base), exponent)])

    def product(self: Graph, parts: list[tuple[Node, Any]]) -> Node:  # type: ignore[misc]
        """Π value**exponent in normal form."""
        type = FLOAT if any(value.type == FLOAT for value, _ in parts) else INT
        factor: Any = 1.0 if type == FLOAT else 1
        powers: dict[Node, Any] = {}
        conditions: list[Node] = []
        grown: list[tuple[Any, Node]] = []
        stack = [(self.to_type(value, type), exponent) for value, exponent in reversed(parts)]
        while stack:
            value, exponent = stack.pop()
            if value.kind == "const" and _folds(value.attribute, exponent):
                factor *= _number_power(value.attribute, exponent)
            elif value.is_sum and len(value.args) == 1 and not value.attribute[1] and _folds(_lead(value), exponent):
                factor *= _number_power(_lead(value), exponent)
                stack.append((value.args[0], exponent))
            elif value.is_sum and _content(value) != 1 and _folds(_content(value), exponent):
                content = _content(value)
                factor *= _number_power(content, exponent)
                coefficients, constant = value.attribute
                terms = {term: c / content for term, c in zip(value.args, coefficients)}
                stack.append((self._sum_of(terms, constant / content, type), exponent))
            elif value.is_product and _distributes(value, exponent):
                stack.extend((base, inner * exponent) for base, inner in zip(value.args, value.attribute))
            elif value.kind == "guard" and exponent > 0:
                conditions.append(value.args[0])
                stack.append((value.args[1], exponent))
            elif value.kind == "map" and value.op == "exp":
                grown.append((exponent, value.args[0]))
            else:
                powers[value] = powers.get(value, 0) + exponent
        return self._product_of(factor, powers, conditions, grown, type)

    def _product_of(  # type: ignore[misc]
        self: Graph, factor: Any, powers: dict[Node, Any], conditions: list[Node], grown: list[Any], type: str
    ) -> Node:
        for power in map(self.exp, self._joined(grown)):
            if power.kind == "const":
                factor *= power.attribute
            else:
                powers[power] = powers.get(power, 0) + 1
        if factor == 0:
            return self.zero(type)
        kept = sorted(((b, _whole(e)) for b, e in powers.items() if e != 0), key=lambda item: item[0].number)
        if not kept:
            inner = self.const(factor)
        elif len(kept) == 1 and kept[0][1] == 1:
            inner = self.combine([(factor, kept[0][0])])
        else:
            args = tuple(base for base, _ in kept)
            axes = frozenset().union(*(base.axes for base in args))
            node = self._intern("map", "mul", args, tuple(e for _, e in kept), axes, type)
            inner = self._sum_of({node: factor}, 0, type)
        return self.guard(self.all(*conditions), inner)

    # --- exponentials ------------------------------------------------------------------------------------------

    def _joined(self: Graph, grown: list[tuple[Any, Node]]) -> list[Node]:  # type: ignore[misc]
        """What exponentials of a product add up to, together where one's axes hold the other's: with that one of
        several whose terms it shares."""
        found: list[Node] = []
        for exponent, value in sorted(grown, key=lambda item: -len(item[1].axes)):
            wider = [n for n, other in enumerate(found) if value.axes <= other.axes]
            part = self.scale(exponent, value)
            if wider:
                shared = frozenset(term for term, _ in _terms(value))
                best = max(wider, key=lambda n: len(shared & {term for term, _ in _terms(found[n])}))
                found[best] = self.add(found[best], part)
            else:
                found.append(part)
        return found

    def exp(self: Graph, value: Node) -> Node:  # type: ignore[misc]
        value = self.to_float(value)
        if value.kind == "const":
            return self.const(_safe_exp(value.attribute))
        logs = [(term.args[0], c) for term, c in _terms(value) if _is_log(term)]
        if logs:
            rest = self.combine([(c, term) for term, c in _terms(value) if not _is_log(term)])
            return self.product([*logs, (self.exp(self.add(rest, self.const(_constant(value)))), 1)])
        return self.map("exp", (value,), FLOAT)

    def log(self: Graph, value: Node) -> Node:  # type: ignore[misc]
        value = self.to_float(value)
        if value.kind == "const" and value.attribute > 0:
            return self.const(math.log(value.attribute))
        if value.kind == "map" and value.op == "exp":
            return value.args[0]
        return self.map("log", (value,), FLOAT)

    def sqrt(self: Graph, value: Node) -> Node:  # type: ignore[misc]
        return self.pow(self.to_float(value), 0.5)


def is_positive(node: Node) -> bool:
    """Proved > 0 by its form alone."""
    if node.kind == "const":
        return node.type != BOOL and node.attribute > 0
    if node.kind == "size":
        return True
    if node.kind == "map":
        if node.op in ("exp", "sigmoid"):
            return True
        if node.op == "to_float":
            return is_positive(node.args[0])
        if node.op == "mul":
            return all(is_positive(arg) for arg in node.args)
        if node.op == "add":
            coefficients, constant = node.attribute
            return constant >= 0 and all(c > 0 and is_positive(arg) for c, arg in zip(coefficients, node.args))
    return False


def is_nonnegative(node: Node) -> bool:
    """Proved >= 0 by its form alone."""
    if is_positive(node):
        return True
    if node.kind == "reduce":
        return node.op in ("sum", "prod") and is_nonnegative(node.body)
    if node.kind in ("guard", "stop", "at"):
        return is_nonnegative(node.args[1 if node.kind == "guard" else 0])
    if node.kind == "map":
        if node.op in ("abs", "relu", "softplus"):
            return True
        if node.op == "mul":
            return all((_is_whole(e) and e % 2 == 0) or is_nonnegative(a) for a, e in zip(node.args, node.attribute))
        if node.op == "add":
            coefficients, constant = node.attribute
            return constant >= 0 and all(c > 0 and is_nonnegative(arg) for c, arg in zip(coefficients, node.args))
        if node.op in ("max", "finite_or"):
            return any(is_nonnegative(arg) for arg in node.args[:1]) or all(is_nonnegative(arg) for arg in node.args)
    return False


def _terms(value: Node) -> list[tuple[Node, Any]]:
    """What a sum adds up, with its coefficients; the constant is left out."""
    return list(zip(value.args, value.attribute[0])) if value.is_sum else [(value, 1)]


def _constant(value: Node) -> float:
    return float(value.attribute[1]) if value.is_sum else 0.0


def _is_log(term: Node) -> bool:
    """The logarithm of what is never negative: exp(c · log x) is then x**c, 0 and infinity included."""
    return term.kind == "map" and term.op == "log" and is_nonnegative(term.args[0])


def _lead(node: Node) -> Any:
    return node.attribute[0][0]


def _content(value: Node) -> float:
    """The number that every coefficient of a sum of floats is, but for its sign; 1 where they differ."""
    coefficients, constant = value.attribute
    sizes = {abs(c) for c in coefficients} | ({abs(constant)} if constant else set())
    return sizes.pop() if value.type == FLOAT and len(sizes) == 1 else 1


def _folds(number: Any, exponent: Any) -> bool:
    """Whether number**exponent is an ordinary number."""
    return math.isfinite(number) and ((exponent > 0 and _is_whole(exponent)) or number > 0)


def _distributes(product: Node, exponent: Any) -> bool:
    """(a**x b**y)**e = a**(xe) b**(ye): for whole e, or positive bases."""
    return _is_whole(exponent) or all(is_positive(base) for base in product.args)


def _is_whole(exponent: Any) -> bool:
    return bool(math.isfinite(exponent) and exponent == int(exponent))


def _whole(exponent: Any) -> Any:
    return int(exponent) if _is_whole(exponent) else exponent


def _number_power(number: Any, exponent: Any) -> Any:
    """number**exponent of constants; infinite where a float has no room for it."""
    try:
        return number**exponent
    except OverflowError:
        return math.inf if number > 0 or exponent % 2 == 0 else -math.inf


def _snap(coefficient: Any) -> Any:
    """log2(e)·ln(2) and its like must give exactly 1."""
    if isinstance(coefficient, float) and math.isfinite(coefficient):
        nearest = round(coefficient)
        if nearest and abs(coefficient - nearest) <= 4e-16 * abs(nearest):
            return float(nearest)
    return coefficient


def _safe_exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


__all__ = ["FLOAT", "INT", "Algebra", "is_positive"]
