"""A call from the command line: sizes, parameters and tensors of these sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..diagnostics import Diagnostic
from ..diagnostics.diagnostic import AttnError
from .options import pairs

if TYPE_CHECKING:
    from ..card import Card, ParameterCard

_USUAL = {"B": 1, "H": 8, "M": 1024, "N": 1024, "D": 64, "E": 64}


def parameters_of(card: Card, settings: str) -> dict[str, Any]:
    """The parameters that `--set` gives."""
    return {p.name: _value(p, text) for p, text in _given(card, settings)}


def _given(card: Card, settings: str) -> list[tuple[ParameterCard, str]]:
    found = pairs(settings, "--set")
    known = {p.name: p for p in card.parameters}
    for name in found:
        if name not in known:
            title = f"'{card.name}' has no parameter '{name}'"
            raise AttnError([Diagnostic("unknown-argument", title, (), None, tuple(f"it has '{n}'" for n in known))])
    return [(known[name], text) for name, text in found.items()]


def _value(parameter: ParameterCard, text: str) -> Any:
    if parameter.type == "mode":
        return text
    readers: dict[str, Callable[[str], Any]] = {"bool": _condition, "int": int, "float": float}
    try:
        return readers[parameter.type](text)
    except (ValueError, KeyError):
        title = f"'{text}' is no {parameter.type} for '{parameter.name}'"
        raise AttnError([Diagnostic("wrong-parameter", title)]) from None


def _condition(text: str) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]


def sizes_of(card: Card, given: dict[str, str], parameters: dict[str, Any]) -> dict[str, int]:
    """Sizes as given, usual ones, and G like H where nothing is said."""
    from ..ir.host import names_in

    needed = {n for item in card.inputs for size in item.sizes for n in names_in(size)}
    needed -= {p.name for p in card.parameters}
    for name in given:
        if name not in needed:
            title = f"'{card.name}' has no size '{name}'"
            helps = (f"its sizes are {', '.join(sorted(needed))}",)
            raise AttnError([Diagnostic("unknown-size", title, (), None, helps)])
    for name, text in given.items():
        if not text.isdecimal():
            raise AttnError([Diagnostic("bad-option", f"the size '{name}={text}' in --shape is no number from 0 on")])
    sizes = {name: int(text) for name, text in given.items()}
    for name in needed:
        if name == "G" and "G" not in sizes:
            sizes["G"] = sizes.get("H", _USUAL["H"])
        sizes.setdefault(name, sizes.get("N", 1024) if name == "M" else _USUAL.get(name, 16))
    return sizes


def tensors_of(card: Card, sizes: dict[str, int], parameters: dict[str, Any], dtype: Any) -> list[Any]:
    import torch

    from ..ir.host import evaluate

    known = {**{p.name: p.default for p in card.parameters}, **parameters, **sizes}
    tensors = []
    for item in card.inputs:
        shape = [max(0, int(evaluate(size, known))) for size in item.sizes]
        if item.type == "float":
            tensors.append(torch.zeros(shape, dtype=dtype))
        elif item.type == "int":
            tensors.append(torch.zeros(shape, dtype=torch.int64))
        else:
            tensors.append(torch.ones(shape, dtype=torch.bool))
    return tensors
