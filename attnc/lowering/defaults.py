"""The default score, normalization and aggregate as clauses with a text of their own, which messages can show."""

from __future__ import annotations

from attnc.grammar import tree

from ..diagnostics import Source, Span
from .scope import Scope

_NORMALIZATION = "softmax"
"""What a spec without a normalize clause means: the one definition of the prelude that the compiler knows by name."""


def default_clause(scope: Scope, role: str, name: str) -> tree.Let:
    """The clause that stands in for a missing one of this role."""
    return {"score": _score, "normalize": _normalize, "aggregate": _aggregate}[role](scope, name)


class _Reader:
    """Takes a clause's text to pieces from left to right; every piece becomes a node with its span."""

    def __init__(self, role: str, name: str, value: str) -> None:
        self.role = role
        self.source = Source(f"<the default {role}>", f"{role} {name} = {value}")
        self.place = 0
        self.skip(f"{role} ")
        self.target = self.name(name)
        self.skip(" = ")

    def skip(self, text: str) -> None:
        assert self.source.text.startswith(text, self.place)
        self.place += len(text)

    def since(self, start: int) -> Span:
        return Span(self.source, start, self.place)

    def name(self, word: str) -> tree.Name:
        start = self.place
        self.skip(word)
        return tree.Name(word, span=self.since(start))

    def at(self, tensor: str, index: str) -> tree.Subscript:
        start = self.place
        base = self.name(tensor)
        self.skip("[")
        entry = self.name(index)
        self.skip("]")
        return tree.Subscript(base, (entry,), span=self.since(start))

    def bracket(self, index: str) -> tree.Bracket:
        start = self.place
        self.skip("[")
        name = self.name(index)
        self.skip("]")
        return tree.Bracket((name,), None, span=self.since(start))

    def let(self, value: tree.Expr) -> tree.Let:
        whole = Span(self.source, 0, len(self.source.text))
        return tree.Let(self.role, self.target.id, None, value, span=whole, name_span=self.target.span)


def _argument(value: tree.Expr) -> tuple[tree.Argument]:
    return (tree.Argument(value, span=value.span),)


def _score(scope: Scope, name: str) -> tree.Let:
    """q·k over the root of their width, which is D where that name was left alone."""
    is_plain = not {"D", "d", "q", "k"} & scope.declared.keys()
    text = _Reader("score", name, f"q[i] @ k[j] / sqrt({'D' if is_plain else 'size(q[i])'})")
    start = text.place
    query = text.at("q", "i")
    text.skip(" @ ")
    product = tree.Binary("@", query, text.at("k", "j"), span=text.since(start))
    text.skip(" / ")
    divisor = text.place
    root = text.name("sqrt")
    text.skip("(")
    width: tree.Expr
    if is_plain:
        width = text.name("D")
    else:
        inner = text.place
        size = text.name("size")
        text.skip("(")
        argument = _argument(text.at("q", "i"))
        text.skip(")")
        width = tree.Call(size, None, argument, span=text.since(inner))
    text.skip(")")
    call = tree.Call(root, None, _argument(width), span=text.since(divisor))
    return text.let(tree.Binary("/", product, call, span=text.since(start)))


def _normalize(scope: Scope, name: str) -> tree.Let:
    score = scope.roles.get("score", "s")
    text = _Reader("normalize", name, f"{_NORMALIZATION}[j]({score})")
    start = text.place
    function, bracket = text.name(_NORMALIZATION), text.bracket("j")
    text.skip("(")
    argument = _argument(text.name(score))
    text.skip(")")
    return text.let(tree.Call(function, bracket, argument, span=text.since(start)))


def _aggregate(scope: Scope, name: str) -> tree.Let:
    weights = scope.roles.get("normalize", "p")
    text = _Reader("aggregate", name, f"sum[j]({weights} * v[j])")
    start = text.place
    function, bracket = text.name("sum"), text.bracket("j")
    text.skip("(")
    inner = text.place
    left = text.name(weights)
    text.skip(" * ")
    product = tree.Binary("*", left, text.at("v", "j"), span=text.since(inner))
    text.skip(")")
    return text.let(tree.Call(function, bracket, _argument(product), span=text.since(start)))
