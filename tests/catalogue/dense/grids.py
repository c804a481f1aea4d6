"""Attention on grids of tokens."""

import torch

from ..parts import attention
from ..rows import row


@row("axial_attention", parameters={"rows": 3, "cols": 7}, large={"rows": 32, "cols": 64})
def axial(q, k, v, rows, cols, along, causal):
    n = torch.arange(rows * cols)
    own, other = (n // cols, n % cols) if along == "cols" else (n % cols, n // cols)
    seen = own[:, None] == own
    return attention(q, k, v, seen & (other[:, None] >= other) if causal else seen)
