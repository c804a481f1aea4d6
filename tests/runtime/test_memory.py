"""What is written, and how much is held."""

import resource

import pytest
import torch

import attnc

from ..corpus import attentions, draw
from .children import in_child
from .probes import probe, tensors

NAMES = [
    "specs/causal", "specs/documents", "specs/offset", "specs/dual", "specs/weights_and_received", "specs/two_part",
    "specs/pooling", "specs/unread_input", "specs/sink", "specs/gate_without_pairs",
]  # fmt: skip


@pytest.fixture
def poison():
    """torch.empty fills with NaN, and integers with their largest."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def everything(attention, given):
    found = attention(*given)
    found = list(found) if isinstance(found, tuple) else [found]
    total = sum(result.sum() for result in found if result.requires_grad)
    learning = [tensor for tensor in given if tensor.requires_grad]
    return [*found, *torch.autograd.grad(total, learning, allow_unused=True)]


def same(a, b):
    return (a is None and b is None) or torch.equal(a, b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [{}, {"M": 1, "N": 1, "T": 1}, {"M": 33, "N": 0, "T": 33}], ids=str)
def test_everything_is_written(name, sizes, poison):
    attention = attentions()[name]
    given = draw(attention, sizes)
    assert torch.empty(1).isnan()
    found = everything(attention, given)
    torch.use_deterministic_algorithms(False)
    assert all(map(same, found, everything(attention, given)))
    assert not any(result.isnan().any() for result in found if result is not None)


def test_nothing_beside_the_results_is_written():
    """The inputs stay as they are, and what lies beside a view too."""
    given = [torch.randn(2, 2, 9, 16)[:, :, 1:8, 4:12].requires_grad_() for _ in range(3)]
    before = [tensor.detach().clone() for tensor in given]
    slope = torch.ones(2)
    probe()(*given, slope).sum().backward()
    assert all(map(torch.equal, given, before)) and torch.equal(slope, torch.ones(2))


def test_no_pairs_are_held():
    """At 4096 positions and 4 heads, the pairs of one tensor would take 256 MiB."""
    attention = probe()
    attention(*tensors(learns=True)).sum().backward()  # kernels are built and loaded

    def use():
        given = tensors(B=1, H=4, N=4096, learns=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        attention(*given, window=600).sum().backward()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    assert in_child(use) < 48


def test_memory_that_is_not_there():
    attention = attentions()["specs/weights_and_received"]
    q = torch.zeros(1, 1, 1, 16).expand(1, 64, 1 << 24, 16)
    with pytest.raises(attnc.AttnError) as caught:
        attention(q, q, q)
    assert caught.value.code == "out-of-memory"


def test_repeated_calls_hold_no_more_and_more():
    attention = probe()

    def use():
        given = tensors(N=256, H=4, learns=True)

        def most_after(count):
            for _ in range(count):
                attention(*given).sum().backward()
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        return most_after(400) - most_after(100)

    assert in_child(use) < 4096  # KiB; each call's results alone take 256
