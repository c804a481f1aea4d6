"""Indices that do not fit the axes they stand on: what to say of them, and which reading would fit."""

from __future__ import annotations

from collections.abc import Sequence

from ..diagnostics import Span
from ..ir import Axis, Node
from .entry import Entry
from .meaning import InputDeclaration
from .mistakes import AxisMismatch, spelled
from .scope import STANDARD_INDICES, Scope
from .sizes import size_text

_ROLES = {
    "B": ("a batch entry", "batch", ""),
    "H": ("a head", "head", " (heads)"),
    "M": ("a query position", "query", " (queries)"),
    "N": ("a key position", "key", " (keys)"),
    "D": ("a score feature", "score feature", " (score features)"),
    "E": ("a value feature", "value feature", " (value features)"),
}


def mismatch(scope: Scope, declared: InputDeclaration, place: int, filled: Sequence[Entry | None]) -> AxisMismatch:
    """The entry at `place` is an index over another size than that axis of an input."""
    sizes = declared.tensor.sizes
    entry, size = filled[place], sizes[place]
    assert entry is not None and entry.bare is not None
    mine = entry.bare.size
    other = _fitting_swap(scope, sizes, place, filled)
    helps: list[str] = []
    if other is not None:
        helps.append(f"swap the indices: '{declared.name}[{_swapped(filled, place, other)}]'")
        if not declared.is_default:
            texts = list(declared.size_texts)
            texts[place], texts[other] = texts[other], texts[place]
            shape = f"{declared.name}[{', '.join(texts)}]"
            helps.append(f"or declare the tensor in the order you read it: '{spelled(declared.span, 'input', shape)}'")
    else:
        helps += _other_helps(scope, mine, size, entry.expr.span)
    note = f"undeclared, '{declared.name}' means '{declared.shape}'" if declared.is_default else None
    spans = declared.size_spans
    return AxisMismatch(
        entry.expr.span, entry.bare.name, _described(scope, mine), declared.name, _described(scope, size), place + 1,
        _roles(scope, mine, size), spans[place] if spans else None, note, tuple(helps),
    )  # fmt: skip


def let_mismatch(scope: Scope, name: str, place: int, axes: Sequence[Axis], entries: Sequence[Entry]) -> AxisMismatch:
    """The entry at `place` is an index over another size than that axis of a let."""
    entry, size = entries[place], axes[place].size
    assert entry.bare is not None
    mine = entry.bare.size
    other = _fitting_swap(scope, [axis.size for axis in axes], place, entries)
    if other is not None:
        helps = [f"swap the indices: '{name}[{_swapped(entries, place, other)}]'"]
    else:
        helps = _other_helps(scope, mine, size, entry.expr.span)
    let = scope.lets.get(name)
    written = let.clause.indices if let is not None else None
    span = next((index.span for index in written or () if index.id == axes[place].name), None)
    return AxisMismatch(
        entry.expr.span, entry.bare.name, _described(scope, mine), name, _described(scope, size), place + 1,
        None, span, None, tuple(helps),
    )  # fmt: skip


def _fitting_swap(scope: Scope, sizes: Sequence[Node], place: int, filled: Sequence[Entry | None]) -> int | None:
    """The place of another bare index such that both fit when they change places."""
    entry = filled[place]
    assert entry is not None and entry.bare is not None
    for other, candidate in enumerate(filled[: len(sizes)]):
        if other == place or candidate is None or candidate.bare is None:
            continue
        if scope.same_size(entry.bare.size, sizes[other]) and scope.same_size(candidate.bare.size, sizes[place]):
            return other
    return None


def _swapped(filled: Sequence[Entry | None], place: int, other: int) -> str:
    entries = list(filled)
    entries[place], entries[other] = entries[other], entries[place]
    return ", ".join(entry.expr.span.brief() for entry in entries if entry is not None)


def _other_helps(scope: Scope, mine: Node, size: Node, place: Span) -> list[str]:
    helps = []
    fitting = [name for name, axis in scope.axes.items() if " " not in name and scope.same_size(axis.size, size)]
    if fitting:
        helps.append(f"use an index over it: '{fitting[0]}'")
    elif size.kind == "size":
        name = size.attribute.lower()
        helps.append(f"declare an index over it: '{spelled(place, 'axis', f'{name}: {size.attribute}')}'")
    names = {size_text(mine), size_text(size)}
    if names == {"M", "N"} and not {"i", "j"} & scope.declared.keys():
        helps.append(f"or say that queries and keys are one sequence: '{spelled(place, 'axis', 'i, j: N')}'")
    elif {mine.kind, size.kind} == {"size"} and _roles(scope, mine, size) is None:
        equal = spelled(place, "require", f"{mine.attribute} == {size.attribute}")
        helps.append(f"{'or ' if helps else ''}say that they are equal: '{equal}'")
    return helps


def _described(scope: Scope, size: Node) -> str:
    return size_text(size) + (_ROLES[size.attribute][2] if _is_standard(scope, size) else "")


def _roles(scope: Scope, mine: Node, size: Node) -> tuple[str, str] | None:
    if _is_standard(scope, mine) and _is_standard(scope, size):
        return _ROLES[mine.attribute][0], _ROLES[size.attribute][1]
    return None


def _is_standard(scope: Scope, size: Node) -> bool:
    """Whether a size still has its usual meaning: its index was not declared anew, nor another over it."""
    if size.kind != "size" or size.attribute not in _ROLES:
        return False
    index = next(name for name, of in STANDARD_INDICES.items() if of == size.attribute)
    return index not in scope.declared
