"""The ways to compute an attention that are compared: attnc, torch's SDPA with two backends, compiled FlexAttention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from ..peers import Flex, Inputs
from .mechanisms import Mechanism

OURS, FLASH, CUDNN, FLEX = "attnc", "SDPA flash", "SDPA cuDNN", "FlexAttention"
PEERS = (FLASH, CUDNN, FLEX)
NO_SDPA = "SDPA has no such attention"
_BACKENDS = {FLASH: SDPBackend.FLASH_ATTENTION, CUDNN: SDPBackend.CUDNN_ATTENTION}
Way = Callable[[], Tensor]


def make(who: str, mechanism: Mechanism, x: Inputs) -> Way | str:
    """How `who` computes the attention of these inputs; a text where there is no way, which says why."""
    if who == OURS:
        attention, tensors = mechanism.attention(), tuple(x.values())
        return lambda: attention(*tensors)
    return _flex(mechanism, x) if who == FLEX else _sdpa(_BACKENDS[who], mechanism, x)


def _sdpa(backend: SDPBackend, mechanism: Mechanism, x: Inputs) -> Way | str:
    is_causal = mechanism.is_causal
    if is_causal is None:
        return NO_SDPA

    def way() -> Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(x["q"], x["k"], x["v"], is_causal=is_causal)

    return way


def _flex(mechanism: Mechanism, x: Inputs) -> Way | str:
    """Compiled for these sizes alone, which is when it is fastest; on the CPU, as torch runs it without a compiler."""
    if isinstance(mechanism.flex, str):
        return mechanism.flex
    function: Flex = flex_attention
    if x["q"].is_cuda:
        torch._dynamo.reset()  # so that no attention meets the limit on recompilations of another
        function = torch.compile(flex_attention, dynamic=False)
    if mechanism.visible is not None:
        n = x["q"].shape[-2]
        mask = create_block_mask(mechanism.visible(x), None, None, n, n, device=x["q"].device)
        function = partial(function, block_mask=mask)
    return mechanism.flex(x, function)
