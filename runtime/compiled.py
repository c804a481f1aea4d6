"""torch.compile must not look into our frames: what it records of a call is one operation, see graphs.py.

torch.compiler.disable does the same with a wrapper for each call, but importing it takes longer than torch itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch.compiler import is_compiling


def keep_out_of_graphs(function: Callable[..., Any]) -> None:
    """Neither this function nor what it calls is traced, whether it is met in a graph or as a frame of its own."""
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    function._torchdynamo_disable_msg = "attnc runs kernels of its own"  # type: ignore[attr-defined]
    with contextlib.suppress(AttributeError):  # a torch that names them otherwise traces more than it must
        frames = torch._C._dynamo.eval_frame
        skip = frames._FrameAction.SKIP
        frames.set_code_exec_strategy(function.__code__, frames._FrameExecStrategy(skip, skip))


__all__ = ["is_compiling", "keep_out_of_graphs"]
