"""Other windows, prefixes, documents, lengths and offsets: nothing is compiled and no spec is looked at again."""

import pytest
import torch
from torch.nn import functional

import attnc
from attnc import pipeline, spec
from attnc.planning import passes
from attnc.runtime import toolchain

SPEC = """
attention masks(window: int = 9, offset: int = 0)
input     doc[B, N]: int, own[B, M]: int, prefix[B]: int
mask      j <= i + offset and i + offset - j < window or j < prefix
mask      own[i] == doc[j]
"""
GRID = """
attention grid(rows: int = 8, cols: int = 8, radius: int = 2)
axis      i, j: {y: rows, x: cols}
mask      abs(i.y - j.y) <= radius and abs(i.x - j.x) <= radius
"""


@pytest.fixture
def work(monkeypatch):
    """How often the compiler was called, and a spec lowered or analysed, since the last question."""
    calls = []

    for module, name in ((spec, "lower"), (passes, "classify"), (pipeline, "find_token_orders")):
        function = getattr(module, name)
        watched = lambda *given, f=function, **more: calls.append(f) or f(*given, **more)  # noqa: E731
        monkeypatch.setattr(module, name, watched)
    before = toolchain.build_count()

    def count():
        nonlocal before
        found, before = (toolchain.build_count() - before, len(calls)), toolchain.build_count()
        calls.clear()
        return found

    return count


def tensors(*lengths):
    return [torch.randn(2, 2, n, 16, requires_grad=True) for n in lengths]


def same(found, inputs, seen):
    wanted = functional.scaled_dot_product_attention(*inputs, attn_mask=seen).nan_to_num(0)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    torch.autograd.grad(found.sum(), inputs)


def test_masks_of_a_text(work):
    masks = attnc.loads(SPEC)
    torch.manual_seed(0)
    for number in range(8):
        m, n = 40 + 37 * number, 60 + 29 * number
        window, offset = 5 + 11 * number, 3 * number
        doc, own = torch.randint(0, 3, (2, n)), torch.randint(0, 3, (2, m))
        prefix = torch.tensor([number, 2 * number])
        inputs = tensors(m, n, n)
        found = masks(*inputs, doc, own, prefix, window=window, offset=offset)
        i, j = torch.arange(m)[:, None] + offset, torch.arange(n)
        seen = ((j <= i) & (i - j < window)) | (j < prefix[:, None, None])
        same(found, inputs, (seen & (own[:, :, None] == doc[:, None]))[:, None])
        built, looked = work()
        assert built <= 2 and (number == 0 or (built, looked) == (0, 0))


def test_masks_of_a_grid(work):
    """One kernel for tokens as they come and one for sorted ones, each when it is first needed."""
    grid = attnc.loads(GRID)
    found = []
    for rows, cols, radius in [(24, 25, 3), (30, 20, 2), (40, 40, 5), (36, 50, 4), (24, 25, 4), (40, 41, 3)]:
        inputs = tensors(*3 * [rows * cols])
        y, x = torch.arange(rows * cols) // cols, torch.arange(rows * cols) % cols
        seen = ((y[:, None] - y).abs() <= radius) & ((x[:, None] - x).abs() <= radius)
        same(grid(*inputs, rows=rows, cols=cols, radius=radius), inputs, seen)
        found.append(work())
    assert sum(built for built, _ in found) <= 4 and found[-3:] == [(0, 0)] * 3
