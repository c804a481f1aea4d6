"""The function behind an attention's call, made when it is first called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from attnc.diagnostics.diagnostic import AttnError

from . import allowance
from .autograd import apply
from .calls import Caller
from .compiled import keep_out_of_graphs
from .dense import dense_call
from .machines import machine_for
from .requirements import check_requirements
from .signature import arrange, check_tensors, static_values
from .transforms import check_transforms

if TYPE_CHECKING:
    from attnc.card import Card
    from attnc.spec import Attention

Entry = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def make_entry(attention: Attention) -> Entry:
    """Calls through kernels, whatever torch.func makes of them; recorded programs go by way of operators.py."""
    caller = Caller(f"{attention.name}\n{attention.text}", attention.card, attention.derivation)
    default = attention.card()
    plain = {parameter.name: parameter.default for parameter in default.parameters}
    has_plain = not default.statics and None not in plain.values()
    count = len(default.inputs)
    main = _main_inputs(default)

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if has_plain and not kwargs and len(args) == count:
            card, tensors, parameters = default, args, plain
        else:
            card, tensors, parameters = _arrange(attention, args, kwargs)
        check_transforms(attention.name)
        device = tensors[0].device.type if tensors and isinstance(tensors[0], torch.Tensor) else "cpu"
        if torch.is_autocast_enabled(device):
            tensors = _autocast(tensors, main, device)
        if card.has_open_requirements:
            check_tensors(card, tensors)
            check_requirements(attention, card, tensors, parameters)
        try:
            found = apply(attention, card, parameters, tensors)
        except AttnError as error:
            if error.code != "no-compiler" or not allowance.reference_is_allowed():
                raise
            found = dense_call(attention, card, tensors, parameters)
        return attention.results(found)

    caller.first_use = partial(_check_first_use, attention)
    keep_out_of_graphs(call)
    attention.__dict__["_caller"] = caller
    return call


def _check_first_use(attention: Attention, card: Card, tensors: tuple[Any, ...], parameters: dict[str, Any]) -> None:
    from .triton.devices import Gpu
    from .triton.first_use import check_first_use

    machine = machine_for(tensors[0].device, attention.name)
    if isinstance(machine, Gpu):
        check_first_use(attention, card, machine, tensors, parameters)


def _arrange(
    attention: Attention, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Card, tuple[Any, ...], dict[str, Any]]:
    """Arguments by the card; with bool or mode parameters given, by the card of their values."""
    card = attention.card()
    values = static_values(card, kwargs) if card.statics else None
    if values is not None:
        card = attention.card(values)
    tensors, parameters = arrange(card, args, kwargs)
    return card, tensors, parameters


def _main_inputs(card: Card) -> frozenset[int]:
    """Which inputs autocast converts: q, k and v; all floating ones of a spec without these."""
    main = {n for n, item in enumerate(card.inputs) if item.type == "float" and item.name in ("q", "k", "v")}
    return frozenset(main or (n for n, item in enumerate(card.inputs) if item.type == "float"))


def _autocast(tensors: tuple[Any, ...], main: frozenset[int], device: str) -> tuple[Any, ...]:
    dtype = torch.get_autocast_dtype(device)
    halves = (torch.float32, torch.bfloat16, torch.float16)
    return tuple(
        t.to(dtype) if n in main and isinstance(t, torch.Tensor) and t.dtype in halves else t
        for n, t in enumerate(tensors)
    )
