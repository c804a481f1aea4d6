"""The specs that these tests call, with their meaning in plain torch."""

import torch

import attnc

PROBE = """attention probe(window: int = 4, cap: float = 3.0)
input     slope[H]
axis      i, j: N
score     s = softcap(q[i] @ k[j] / sqrt(D), cap) - slope[h] * (i - j)
mask      j <= i and i - j < window
"""
SEVERAL = """attention several
axis      i, j: N
mask      j < i
output    out, total = logsumexp[j](s), near = max[j](s), count = count[j](s > 0.5), is_open = any[j](s > 0.0)
"""


def probe() -> attnc.Attention:
    """A new object each time: it remembers no calls."""
    return attnc.loads(PROBE)


def several() -> attnc.Attention:
    return attnc.loads(SEVERAL)


def tensors(B=2, H=2, N=7, D=8, dtype=torch.float32, learns=False, seed=0):
    """q, k, v and slope."""
    random = torch.Generator().manual_seed(seed)
    found = [torch.randn(B, H, N, D, generator=random).to(dtype) for _ in range(3)]
    found.append(torch.rand(H, generator=random).to(dtype))
    return [tensor.requires_grad_(learns) for tensor in found]


def expected(q, k, v, slope, window=4, cap=3.0):
    """What the probe means, in plain torch and float64."""
    q, k, v, slope = (tensor.double() for tensor in (q, k, v, slope))
    place = torch.arange(q.shape[2])
    distance = place[:, None] - place
    s = cap * torch.tanh(q @ k.mT / q.shape[3] ** 0.5 / cap) - slope[:, None, None] * distance
    return s.masked_fill((distance < 0) | (distance >= window), -torch.inf).softmax(-1) @ v


def is_near(found, wanted, within=1e-5) -> bool:
    return bool(torch.allclose(found.double(), wanted.double(), rtol=within, atol=within))


def works(attention=None, **sizes) -> bool:
    """Whether a new probe computes what it means."""
    given = tensors(**sizes)
    return is_near((attention or probe())(*given), expected(*given))
