"""Few queries over many keys: operands are prepared block by block where they are used, and not stored."""

import resource

import pytest
import torch

import attnc

SPECS = {
    "plain": "attention a",
    "offset": "attention a(offset: int = 290) mask j <= i + offset and i + offset - j < 200",
    "bias": "attention a input bias[H, N], keep[B, N]: bool score s = q[i] @ k[j] / sqrt(D) + bias[h, j] mask keep[j]",
    "rope": "attention a(offset: int = 290) score s = rope(q[i], i + offset) @ rope(k[j], j) / sqrt(D)",
    "distance": "attention a score s = -norm(q[i] - k[j]) output out, lse = logsumexp[j](s)",
    "values": "attention a input r[N, E] aggregate out[i] = sum[j](p * tanh(v[j] + r[j]))",
}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("M", [1, 3, 5, 64, 65])
@pytest.mark.parametrize("groups", [4, 2])
def test_like_many_rows(spec, M, groups):
    """Where a head's keys are used by one block of rows, and where by several."""
    random = torch.Generator().manual_seed(M)
    attention = attnc.loads(SPECS[spec])
    q = torch.randn(2, 4, M, 24, generator=random)
    k, v = torch.randn(2, groups, 291, 24, generator=random), torch.randn(2, groups, 291, 40, generator=random)
    sizes = {"bias": (4, 291), "r": (291, 40)}
    more = [torch.randn(sizes[n], generator=random) for n in ("bias", "r") if f"{n}[" in SPECS[spec]]
    keep = [torch.rand(2, 291, generator=random) > 0.3] if "keep" in SPECS[spec] else []
    attnc.verify(attention, *(t.requires_grad_() for t in (q, k, v, *more)), *keep)


@pytest.mark.parametrize("widths", [(32, 32), (40, 128), (7, 72)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_dtypes(dtype, widths):
    """Products with keys where they lie, in whole vectors and with a rest; wide rows of values at once."""
    shapes = zip((1, 701, 701), (widths[0], *widths))
    q, k, v = (torch.randn(1, 2, n, width, dtype=torch.float64) for n, width in shapes)
    out = attnc.loads("attention a")(*(t.to(dtype) for t in (q, k, v)))
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    allowed = {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 2e-2)
    assert (out.double() - wanted).abs().max() < allowed


def test_keys_are_not_copied():
    """The process grows by the result and a worker's blocks, not by the keys."""
    attention = attnc.loads("attention a")
    q, k, v = (torch.randn(1, 2, n, 64) for n in (1, 500, 500))
    attention(q, k, v)
    k, v = torch.randn(1, 2, 200_000, 64), torch.randn(1, 2, 200_000, 64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attention(q, k, v)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < k.numel() * k.element_size() / 4
