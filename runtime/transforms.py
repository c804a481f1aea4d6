"""What a call must not be taken into silently: what records torch's operations or differentiates them its own way.

Kernels are no operations of torch, so their results would be taken for constants, or for memory not yet written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch._C import _are_functorch_transforms_active, _is_tracing, _len_torch_dispatch_stack
from torch.autograd import forward_ad

from attnc.diagnostics import Diagnostic

from .mistakes import CallMistake, ForwardMode


@dataclass(frozen=True)
class InsideTransform(CallMistake):
    """`transform` is what the call stands in, `fact` why it cannot, `help` what can be done instead."""

    code: ClassVar[str] = "inside-transform"
    transform: str
    fact: str
    help: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' cannot be called inside {self.transform}"
        return Diagnostic(self.code, title, (), self.fact, (self.help,))


_OPERATIONS_ONLY = "it records torch's operations, and a kernel is none"
_NO_RULE = "it has no rule for kernels"


def is_learned(tensor: torch.Tensor) -> bool:
    """Whether a tensor requires a gradient, of which torch.vmap's stand-ins know nothing."""
    while torch._C._functorch.is_batchedtensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor.requires_grad


def check_mapped(attention: str, tensors: Sequence[Any] = ()) -> None:
    """AttnError inside torch.func's transforms but torch.vmap, and in forward-mode differentiation."""
    if _are_functorch_transforms_active() and set(_kinds()) != {"Vmap"}:
        raise _inside_functorch(attention).error()
    if forward_ad._current_level >= 0 and any(map(_has_tangent, tensors)):
        raise ForwardMode(attention).error()


def check_plain(attention: str, tensors: Sequence[Any]) -> None:
    """AttnError inside any of torch.func's transforms and in forward-mode differentiation."""
    if _are_functorch_transforms_active():
        raise _inside_functorch(attention).error()
    check_mapped(attention, tensors)


def check_transforms(attention: str) -> None:
    """AttnError inside torch.func.functionalize, torch.jit.trace and make_fx."""
    if _are_functorch_transforms_active() and not set(_kinds()) <= {"Vmap", "Grad", "Jvp"}:
        raise _inside_functorch(attention).error()
    if _is_tracing():
        raise _while_recording(attention, "torch.jit.trace").error()
    if _len_torch_dispatch_stack() and _is_recording():
        raise _while_recording(attention, "make_fx").error()


def _kinds() -> list[str]:
    """The transforms of torch.func around the call, from the outermost."""
    return [level.key().name for level in torch._C._functorch.get_interpreter_stack() or ()]


def _inside_functorch(attention: str) -> CallMistake:
    innermost = [kind for kind in _kinds() if kind != "Vmap"][-1:]
    if innermost == ["Jvp"]:
        return ForwardMode(attention)
    help = f"use 'torch.autograd.grad', or call '{attention}.reference(…)' there"
    return InsideTransform(attention, "a transform of torch.func", _NO_RULE, help)


def _while_recording(attention: str, transform: str) -> CallMistake:
    return InsideTransform(attention, transform, _OPERATIONS_ONLY, "use 'torch.compile' or 'torch.export'")


def _has_tangent(tensor: Any) -> bool:
    if not isinstance(tensor, torch.Tensor):
        return False
    while torch._C._functorch.is_batchedtensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def _is_recording() -> bool:
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
