"""Syntax tree -> text: one node a line, indented. What `show --stage tree` prints."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from . import tree

_HIDDEN = ("span", "name_span", "doc_span", "comments")


def dump(node: Any, depth: int = 0) -> str:
    """The names of nodes with their plain fields; children below."""
    return "\n".join(_lines(node, depth)) + "\n"


def _lines(node: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if not isinstance(node, tree.Node):
        return [f"{pad}{node!r}"]
    plain, nested = [], []
    for field in fields(node):
        value = getattr(node, field.name)
        if field.name in _HIDDEN or value in (None, ()):
            continue
        if _is_plain(value):
            plain.append(f"{field.name}={value!r}" if field.name not in ("id", "value", "name") else f"{value!r}")
        else:
            nested.append((field.name, value))
    lines = [f"{pad}{type(node).__name__} {' '.join(plain)}".rstrip()]
    for name, value in nested:
        items = value if isinstance(value, tuple) else (value,)
        lines.append(f"{pad}  {name}:")
        for item in items:
            lines += _nested(item, depth + 2)
    return lines


def _nested(item: Any, depth: int) -> list[str]:
    if isinstance(item, tuple):
        return [line for part in item for line in _nested(part, depth)]
    return _lines(item, depth)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return not is_dataclass(value)
