"""Random specs: their derived gradients against torch's, and their kernels against the dense meaning."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import attnc
from attnc.ir.host import encode, evaluate
from attnc.ir.node import reachable
from attnc.runtime.verify import measure

from ..derivatives.checks import gradients
from .generator import LONG, ODD, SMALL, draw_tensors, specs

fixed = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
CONDITIONING = 1e-14


@pytest.fixture(scope="module")
def counts():
    """How many specs were checked, and how many refused, by code."""
    found = Counter()
    yield found
    assert found["checked"] >= 4 * (found.total() - found["checked"]), found


def load(text, counts):
    """The attention and its card; a text that is not one is assumed away, and counted."""
    try:
        attention = attnc.loads(text)
        attention.card()
    except attnc.AttnError as error:
        counts[error.code] += 1
        assume(False)
    counts["checked"] += 1
    return attention


def nudged(tensors):
    """The same tensors but for their last digits."""
    random = torch.Generator().manual_seed(9)

    def nudge(tensor):
        noise = torch.randn(tensor.shape, generator=random, dtype=torch.float64)
        return (tensor.detach() * (1 + CONDITIONING * noise)).requires_grad_()

    return [nudge(tensor) if tensor.is_floating_point() else tensor for tensor in tensors]


def distance(found, exact):
    """The largest difference, relative to the largest element; what torch cannot tell (NaN) is left out."""
    known = ~exact.isnan()
    scale = max(exact[known].abs().max().item() if known.any() else 0.0, 1e-3)
    gap = torch.where(known, (found - exact).abs(), torch.zeros_like(exact))
    return gap.nan_to_num(nan=torch.inf).max().item() / scale if gap.numel() else 0.0


@settings(fixed, max_examples=60)
@given(text=specs())
def test_derived_gradients_are_torch_s(text, counts):
    attention = load(text, counts)
    tensors = draw_tensors(attention.card(), SMALL, torch.float64)
    both = gradients(attention, tensors)
    far = {name: distance(*pair) for name, pair in both.items()}
    if max(far.values(), default=0.0) < 1e-9:
        return
    again = gradients(attention, nudged(tensors))
    for name, gap in far.items():
        assert gap < 1e-9 + 1e3 * distance(again[name][1], both[name][1]), (name, gap)


def is_too_large(attention, sizes):
    """Whether the dense meaning of a gradient holds a value of more than a gigabyte: with two computed positions it has
    four lengths."""
    known = sizes | {p.name: p.default for p in attention.card().parameters}
    derivation = attention.derivation()
    wanted = [item.name for item in attention.card().inputs if item.type == "float"]
    nodes = reachable([target.node for target in derivation.gradient(wanted).targets])
    axes = [node.axes | set(node.bound) for node in nodes]
    return max(math.prod(evaluate(encode(axis.size), known) for axis in one) for one in axes) > 1 << 27


# a build for each attempt: nothing is shrunk
@settings(fixed, max_examples=6, phases=[Phase.generate])
@given(text=specs(), sizes=st.sampled_from([ODD, LONG]))
def test_kernels_match_the_dense_meaning(text, sizes, counts):
    attention = load(text, counts)
    assume(not is_too_large(attention, sizes))
    try:
        errors = measure(attention, draw_tensors(attention.card(), sizes), {})
    except attnc.AttnError as error:
        if error.code != "cannot-be-compiled":
            raise
        counts[error.code] += 1  # refused in the user's words, as it should be
        return
    for error in errors:
        assert error.is_good, (text, error)
