"""How a help spells a clause: as it is typed in the text that it is about, a spec or a Python function."""

from __future__ import annotations

from ...diagnostics import Span


def spelled(place: Span, clause: str, text: str) -> str:
    """`mask j <= i`; `mask(j <= i)` in Python."""
    if not place.source.name.endswith(".py"):
        return f"{clause} {text}"
    if clause in ("mask", "require"):
        return f"{clause}({text})"
    if clause == "axis":
        names, _, size = text.partition(": ")
        return "; ".join(f"{name}: {size}" for name in names.split(", "))
    if clause == "input":
        name, bracket, sizes = text.partition("[")
        return f'{name}: "[{sizes}"' if bracket else f'{name.split(":")[0]}: ": float"'
    return text
