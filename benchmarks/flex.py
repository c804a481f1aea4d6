"""torch's FlexAttention, compiled or as it is, with the block mask of a mechanism."""

from __future__ import annotations

from functools import partial

import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from .cases import Mechanism
from .peers import Flex, Inputs


def compiled(inputs: Inputs, mechanism: Mechanism) -> Flex:
    """Compiled for these sizes alone, which is when it is fastest. Its compilation is not timed."""
    torch._dynamo.reset()  # so that no mechanism meets the limit on recompilations of another
    return _with_mask(torch.compile(flex_attention, dynamic=False), inputs, mechanism)


def uncompiled(inputs: Inputs, mechanism: Mechanism) -> Flex:
    """As torch runs it without a compiler: slow, but the same meaning."""
    return _with_mask(flex_attention, inputs, mechanism)


def _with_mask(function: Flex, inputs: Inputs, mechanism: Mechanism) -> Flex:
    if mechanism.visible is None:
        return function
    batch, _, length, _ = inputs["q"].shape
    rows = batch if any(name in inputs for name in ("doc", "prefix")) else None
    mask = create_block_mask(mechanism.visible(inputs), rows, None, length, length, device="cpu")
    return partial(function, block_mask=mask)
