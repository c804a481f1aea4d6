"""What the grammar's rules for files, items and clauses make of their children: `tree.File`.

Checks what the grammar leaves open: what may stand on a left side, types, defaults, repeated names, docstrings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attnc.diagnostics import NOWHERE, Span
from attnc.diagnostics.syntax import (
    MisplacedDocstring,
    OddTarget,
    PositionalAfterKeyword,
    Unexpected,
    UnnamedValue,
    WrongBracket,
)

from .binding import Part
from .expression_builder import Brackets, ExpressionBuilder, Keyword, finished, indices_of, name_of, refuse_repeats
from .parameters import check_input_type, make_parameter
from .scanner import Token
from .tree import (
    Attention,
    Axis,
    AxisItem,
    Binary,
    Clause,
    Define,
    Expr,
    File,
    Formal,
    Input,
    InputItem,
    JoinedSize,
    Let,
    Mask,
    Name,
    Output,
    OutputItem,
    Parameter,
    ProductSize,
    Require,
    Subscript,
    Use,
)


class Target:
    """`name` or `name[…]` on the left of something."""

    __slots__ = ("brackets", "name", "span")

    def __init__(self, name: Token, brackets: Brackets | None) -> None:
        self.name, self.brackets = name, brackets
        self.span = name.span.to(brackets.span) if brackets else name.span

    def indices(self, what: str) -> tuple[Name, ...] | None:
        if self.brackets is None:
            return None
        indices = indices_of(self.brackets.items)
        if isinstance(indices, tuple) and indices:
            return indices
        span = self.brackets.span if isinstance(indices, tuple) else indices.span
        remedy = "write plain indices here, and read the value elsewhere as 'name[j - 1]'"
        raise OddTarget(span, what, remedy).error()


class Setting:
    """A target, and its value if one was given."""

    __slots__ = ("span", "target", "value")

    def __init__(self, target: Target, value: Part | None) -> None:
        self.target, self.value = target, value
        self.span = target.span.to(value.span) if value else target.span

    def expression(self, example: str) -> Expr:
        if self.value is None:
            raise UnnamedValue(self.span, example).error()
        return finished(self.value)


class Builder(ExpressionBuilder):
    """Lark calls the method named like the rule; children are tokens and what other methods returned."""

    def file(self, children: list[Any]) -> File:
        items: list[Use | Define | Attention] = []
        head, docs = _NO_DOC, list[Token]()
        for child in children:
            if isinstance(child, Token):
                docs.append(child)
                continue
            if not items and docs and (len(docs) > 1 or isinstance(child, Use)):
                head = _doc(docs.pop(0))
            if len(docs) > (0 if isinstance(child, Use) else 1):
                raise MisplacedDocstring(docs[0].span).error()
            items.append(_with_doc(child, docs.pop()) if docs else child)
        if docs and items:
            raise MisplacedDocstring(docs[0].span).error()
        return File(tuple(items), head[0], doc_span=head[1])

    def use(self, children: list[Any]) -> Use:
        word, path = children
        return Use(path.text[1:-1], span=word.span.to(path.span))

    def define(self, children: list[Any]) -> Define:
        word, name, *middle = children
        bindings = middle.pop() if isinstance(middle[-1], list) else []
        value = middle.pop()
        target = Target(name, middle[0] if len(middle) == 3 else None)
        formals = middle[-2]
        return Define(
            name.text,
            target.indices("in the bracket of a definition") or (),
            _formals(formals),
            finished(value),
            tuple(_binding(setting) for setting in bindings),
            span=word.span.to(bindings[-1].span if bindings else value.span),
            name_span=name.span,
        )

    def bindings(self, children: list[Any]) -> list[Setting]:
        return _not_tokens(children)

    def attention(self, children: list[Any]) -> Attention:
        word, name, *rest = children
        parameters: tuple[Parameter, ...] = ()
        end = name.span
        if rest and isinstance(rest[0], _Parameters):
            first = rest.pop(0)
            parameters, end = first.parameters, first.span
        clauses: tuple[Clause, ...] = tuple(rest)
        span = word.span.to(clauses[-1].span if clauses else end)
        return Attention(name.text, parameters, clauses, span=span, name_span=name.span)

    def parameters(self, children: list[Any]) -> _Parameters:
        named = _not_tokens(children)
        refuse_repeats(((name.text, name.span) for name, _ in named), "parameters")
        return _Parameters(tuple(one for _, one in named), children[0].span.to(children[-1].span))

    def parameter(self, children: list[Any]) -> tuple[Token, Parameter]:
        name, _, types, *rest = children
        default = finished(rest[1]) if rest else None
        span = name.span.to(rest[1].span if rest else types[-1].span)
        return name, make_parameter(name.text, [(one.text, one.span) for one in types], default, span)

    def type(self, children: list[Any]) -> list[Token]:
        return [child for child in children if child.type != "VBAR"]

    # --- clauses ---

    def input(self, children: list[Any]) -> Input:
        items = _not_tokens(children)
        return Input(tuple(items), span=_whole(children))

    def input_item(self, children: list[Any]) -> InputItem:
        target, *rest = children
        brackets = target.brackets
        if brackets is None and not rest:
            remedy = f"write '{target.name.text}[H]' or '{target.name.text}: float'"
            raise Unexpected(target.span, "an input without sizes or a type", None, remedy).error()
        type = check_input_type(rest[1].text, rest[1].span) if rest else "float"
        return InputItem(target.name.text, _sizes(brackets), type, span=_whole(children))

    def annotation(self, children: list[Any]) -> tuple[tuple[Expr, ...], str]:
        brackets = children[0] if isinstance(children[0], Brackets) else None
        last = children[-1]
        type = check_input_type(last.text, last.span) if isinstance(last, Token) else "float"
        return _sizes(brackets), type

    def axis(self, children: list[Any]) -> Axis:
        return Axis(tuple(_not_tokens(children)), span=_whole(children))

    def axis_item(self, children: list[Any]) -> AxisItem:
        *names, size = children
        names = [name_of(token) for token in names if token.type == "NAME"]
        return AxisItem(tuple(names), axis_size(size), span=_whole(children))

    def product(self, children: list[Any]) -> ProductSize:
        components = _not_tokens(children)
        refuse_repeats(((name.text, name.span) for name, _ in components), "components")
        return ProductSize(tuple((name.text, size) for name, size in components), span=_whole(children))

    def component(self, children: list[Any]) -> tuple[Token, Expr]:
        return children[0], finished(children[2])

    def require(self, children: list[Any]) -> Require:
        return Require(tuple(finished(part) for part in _not_tokens(children)), span=_whole(children))

    def mask(self, children: list[Any]) -> Mask:
        return Mask(finished(children[1]), span=_whole(children))

    def let(self, children: list[Any]) -> Let:
        role, setting = children
        name = setting.target.name
        value = setting.expression(f"{role.text} {name.text} = …")
        indices = setting.target.indices("on the left of '='")
        return Let(role.text, name.text, indices, value, span=_whole(children), name_span=name.span)

    def output(self, children: list[Any]) -> Output:
        return Output(tuple(_output_item(setting) for setting in _not_tokens(children)), span=_whole(children))

    def setting(self, children: list[Any]) -> Setting:
        return Setting(children[0], children[2] if len(children) > 1 else None)

    def target(self, children: list[Any]) -> Target:
        return Target(children[0], children[1] if len(children) > 1 else None)


class _Parameters:
    def __init__(self, parameters: tuple[Parameter, ...], span: Span) -> None:
        self.parameters, self.span = parameters, span


_NO_DOC: tuple[str | None, Span] = (None, NOWHERE)


def _doc(token: Token) -> tuple[str, Span]:
    return token.text[3:-3], token.span


def _with_doc(item: Any, token: Token) -> Any:
    text, span = _doc(token)
    return replace(item, doc=text, doc_span=span)


def _not_tokens(children: list[Any]) -> list[Any]:
    return [child for child in children if not isinstance(child, Token)]


def _whole(children: list[Any]) -> Span:
    first: Span = children[0].span
    return first.to(children[-1].span)


def axis_size(size: Part | ProductSize) -> Expr | ProductSize | JoinedSize:
    """The size of an axis: `|` of indices joins them."""
    if isinstance(size, ProductSize):
        return size
    expr = finished(size)
    if not isinstance(expr, Binary) or expr.operator != "|":
        return expr
    parts: list[Name] = []
    waiting: list[Expr] = [expr]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Binary) and part.operator == "|":
            waiting += [part.right, part.left]
        elif isinstance(part, Name):
            parts.append(part)
        else:
            raise Unexpected(part.span, f"'{part.span.text}'", "an index", "'|' joins indices: 'axis u: j | c'").error()
    return JoinedSize(tuple(parts), span=expr.span)


def _sizes(brackets: Brackets | None) -> tuple[Expr, ...]:
    return tuple(finished(item) for item in brackets.items) if brackets else ()


def _output_item(setting: Setting) -> OutputItem:
    value = finished(setting.value) if setting.value else None
    indices = setting.target.indices("on the left of '='" if value else "among the outputs")
    return OutputItem(setting.target.name.text, indices, value, span=setting.span)


def _binding(setting: Setting) -> tuple[Name, Expr]:
    name = setting.target.name
    value = setting.expression(f"{name.text} = …")
    if setting.target.brackets is not None:
        rule = "a name after 'with' has no indices"
        raise WrongBracket(setting.target.brackets.span, rule, f"write '{name.text} = …'").error()
    return name_of(name), value


def _formals(brackets: Brackets) -> tuple[Formal, ...]:
    out: list[tuple[Formal, Span]] = []
    default: Keyword | None = None
    for item in brackets.items:
        if isinstance(item, Keyword):
            default = item
            formal = Formal(item.name.text, (), finished(item.value), span=item.span)
            out.append((formal, item.name.span))
            continue
        if default is not None:
            raise PositionalAfterKeyword(item.span, default.span).error()
        out.append(_formal(item))
    refuse_repeats(((formal.name, span) for formal, span in out), "formals")
    return tuple(formal for formal, _ in out)


def _formal(item: Part) -> tuple[Formal, Span]:
    node = item.node
    if isinstance(node, Name):
        return Formal(node.id, span=item.span), node.span
    if isinstance(node, Subscript):
        names = tuple(entry for entry in node.entries if isinstance(entry, Name))
        if len(names) == len(node.entries):
            return Formal(node.base.id, names, span=item.span), node.base.span
    raise OddTarget(item.span, "among the formals of a definition", "write 's', 's[j]' or 'base = 2'").error()
