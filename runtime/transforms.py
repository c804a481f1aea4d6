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


def is_mapped() -> bool:
    """Whether the call stands directly inside torch.vmap."""
    if not _are_functorch_transforms_active():
        return False
    return bool(torch._C._functorch.peek_interpreter_stack().key().name == "Vmap")


def check_transforms(attention: str, tensors: Sequence[Any]) -> None:
    """AttnError inside torch.func's transforms, forward-mode differentiation, torch.jit.trace and make_fx."""
    if _are_functorch_transforms_active():
        raise _inside_functorch(attention).error()
    if forward_ad._current_level >= 0 and any(map(_has_tangent, tensors)):
        raise ForwardMode(attention).error()
    if _is_tracing():
        raise _while_recording(attention, "torch.jit.trace").error()
    if _len_torch_dispatch_stack() and _is_recording():
        raise _while_recording(attention, "make_fx").error()


def _inside_functorch(attention: str) -> CallMistake:
    kind = torch._C._functorch.peek_interpreter_stack().key().name
    if kind == "Jvp":
        return ForwardMode(attention)
    help = f"use 'torch.autograd.grad', or call '{attention}.reference(…)' there"
    return InsideTransform(attention, "a transform of torch.func", _NO_RULE, help)


def _while_recording(attention: str, transform: str) -> CallMistake:
    return InsideTransform(attention, transform, _OPERATIONS_ONLY, "use 'torch.compile', which leaves the call out")


def _has_tangent(tensor: Any) -> bool:
    if not isinstance(tensor, torch.Tensor):
        return False
    return forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def _is_recording() -> bool:
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
