"""The syntax tree: what a spec says, with no layout and no meaning yet.

Every node is a frozen dataclass. Spans do not take part in equality, so two texts that say the same give equal
trees. The parser and the Python front end both make exactly this tree; the formatter prints it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from attnc.diagnostics import NOWHERE, Span


@dataclass(frozen=True)
class Node:
    """Anything with a place in the text."""

    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


# --- expressions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Node):
    """`2`, `0.5`, `1e-3`: an int or a float by how it is written (`inf` is a name)."""

    value: int | float


@dataclass(frozen=True)
class Boolean(Node):
    """`True`/`true` or `False`/`false`."""

    value: bool


@dataclass(frozen=True)
class Text(Node):
    """A string: only modes are compared with one (`mode == "a"`)."""

    value: str


@dataclass(frozen=True)
class Name(Node):
    """An index, size, parameter, input or let."""

    id: str


@dataclass(frozen=True)
class Component(Node):
    """`i.y`: one component of an index over a product axis."""

    base: Name
    name: str


@dataclass(frozen=True)
class Slice(Node):
    """`lo:hi` as an entry of a subscript, either end may be missing."""

    low: Expr | None
    high: Expr | None


@dataclass(frozen=True)
class Subscript(Node):
    """`k[j - 1]`, `table[h, low]`, `q[i, :R]`: positional entries of a tensor, let or formal."""

    base: Name
    entries: tuple[Expr | Slice, ...]


@dataclass(frozen=True)
class Bracket(Node):
    """`[j]`, `[y, x]`, `[j: condition]`, `[j, reverse]`: over what an operation runs.

    `indices` are all the bare names before the colon in order, flags such as `reverse` among them.
    """

    indices: tuple[Name, ...]
    condition: Expr | None


@dataclass(frozen=True)
class Argument(Node):
    """A call's argument, by position (`name` is None) or by keyword."""

    value: Expr
    name: str | None = None


@dataclass(frozen=True)
class Call(Node):
    """`exp(x)`, `softmax[j: c](s)`, `top[j](x, n, by=w)`, and `j(y, x)`: an index of a product axis."""

    function: Name
    bracket: Bracket | None
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Unary(Node):
    """`-x`, `+x`, `not x`."""

    operator: str
    operand: Expr


@dataclass(frozen=True)
class Binary(Node):
    """`+ - * / // % ** @ & ^ << >>`; and `|`, which only joins axes."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Logic(Node):
    """`a and b and c`, `a or b`: two or more operands, flattened where the same operator nests on the left."""

    operator: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True)
class Compare(Node):
    """A chain `a < b <= c`: operators `< <= > >= == !=`, `in`, `not in`."""

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True)
class Conditional(Node):
    """`then if test else other`."""

    test: Expr
    then: Expr
    other: Expr


@dataclass(frozen=True)
class Tuple(Node):
    """`(0, 1)`: only on the right of `in`."""

    elements: tuple[Expr, ...]


Expr = (
    Number
    | Boolean
    | Text
    | Name
    | Component
    | Subscript
    | Call
    | Unary
    | Binary
    | Logic
    | Compare
    | Conditional
    | Tuple
)

# --- clauses -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InputItem(Node):
    """`slope[H]`, `doc[B, N]: int`, `scale: float`; `type` is "float", "int" or "bool"."""

    name: str
    sizes: tuple[Expr, ...]
    type: str = "float"


@dataclass(frozen=True)
class ProductSize(Node):
    """`{y: rows, x: cols}`."""

    components: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True)
class JoinedSize(Node):
    """`j | c`: the disjoint union of the axes of these indices."""

    parts: tuple[Name, ...]


@dataclass(frozen=True)
class AxisItem(Node):
    """`i, j: N`: indices (in `names`) over one size."""

    names: tuple[Name, ...]
    size: Expr | ProductSize | JoinedSize


@dataclass(frozen=True)
class Input(Node):
    items: tuple[InputItem, ...]


@dataclass(frozen=True)
class Axis(Node):
    items: tuple[AxisItem, ...]


@dataclass(frozen=True)
class Require(Node):
    conditions: tuple[Expr, ...]


@dataclass(frozen=True)
class Let(Node):
    """`let`, `score`, `normalize` and `aggregate` are one thing with a role (`role` is the keyword).

    `indices` is None when the left side has no bracket; `name_span` is the name alone.
    """

    role: str
    name: str
    indices: tuple[Name, ...] | None
    value: Expr
    name_span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Mask(Node):
    condition: Expr


@dataclass(frozen=True)
class OutputItem(Node):
    """`out`, `lse = logsumexp[j](s)`, `received[j] = sum[i](p)`; `value` is None for a name alone."""

    name: str
    indices: tuple[Name, ...] | None
    value: Expr | None


@dataclass(frozen=True)
class Output(Node):
    items: tuple[OutputItem, ...]


Clause = Input | Axis | Require | Let | Mask | Output

# --- files -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter(Node):
    """`window: int = 1024`; `type` is "int", "float", "bool" or "mode" (then `modes` lists the choices)."""

    name: str
    type: str
    modes: tuple[str, ...] = ()
    default: int | float | bool | str | None = None


@dataclass(frozen=True)
class Formal(Node):
    """`s`, `s[j]`, `base = 10000.0`: a formal of a definition."""

    name: str
    axes: tuple[Name, ...] = ()
    default: Expr | None = None


@dataclass(frozen=True)
class Define(Node):
    """`define softmax[j](s) = e / sum[j](e) with m = …, e = …`."""

    name: str
    axes: tuple[Name, ...]
    formals: tuple[Formal, ...]
    value: Expr
    bindings: tuple[tuple[Name, Expr], ...] = ()
    doc: str | None = None
    name_span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)
    doc_span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Attention(Node):
    name: str
    parameters: tuple[Parameter, ...]
    clauses: tuple[Clause, ...]
    doc: str | None = None
    name_span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)
    doc_span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Use(Node):
    """`use "name.attn"`."""

    path: str


@dataclass(frozen=True)
class Comment(Node):
    """`# …` as written; `own_line` when nothing else stands before it on its line."""

    text: str
    own_line: bool


@dataclass(frozen=True)
class File(Node):
    """A file's items in order. `doc` is a docstring that heads the file and is followed by another docstring,
    a `use` or nothing; otherwise it belongs to the item after it. Comments lie beside the tree."""

    items: tuple[Use | Define | Attention, ...]
    doc: str | None = None
    comments: tuple[Comment, ...] = field(default=(), compare=False)
    doc_span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)

    @property
    def attentions(self) -> tuple[Attention, ...]:
        return tuple(item for item in self.items if isinstance(item, Attention))

    @property
    def defines(self) -> tuple[Define, ...]:
        return tuple(item for item in self.items if isinstance(item, Define))
