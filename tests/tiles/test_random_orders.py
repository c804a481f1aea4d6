"""Random conditions on coordinates, with tokens sorted by whatever they compare, against every pair."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

import attnc
from attnc.runtime import reordering, token_orders

N = 150
INDEX = torch.arange(N)


@st.composite
def coordinates(draw):
    """A text of an index, and its value."""
    number = draw(st.integers(2, 40))
    kind = draw(st.sampled_from(["mod", "floordiv", "of quotient"]))
    if kind == "mod":
        return f"{{0}} % {number}", INDEX % number
    if kind == "floordiv":
        return f"{{0}} // {number}", INDEX // number
    other = draw(st.integers(2, 6))
    return f"{{0}} // {number} % {other}", INDEX // number % other


@st.composite
def comparisons(draw):
    text, value = draw(coordinates())
    i, j = f"({text.format('i')})", f"({text.format('j')})"
    kind = draw(st.sampled_from(["same", "near", "not above", "clamped"]))
    if kind == "same":
        return f"{i} == {j}", value[:, None] == value
    if kind == "near":
        reach = draw(st.integers(0, 5))
        return f"abs({i} - {j}) <= {reach}", (value[:, None] - value).abs() <= reach
    if kind == "not above":
        return f"{j} <= {i}", value <= value[:, None]
    low = draw(st.integers(0, 3))
    return f"{j} < max({i}, {low}) + 2", value < value[:, None].clamp(min=low) + 2


@st.composite
def conditions(draw, depth=2):
    if depth == 0 or draw(st.booleans()):
        if draw(st.integers(0, 4)) == 0:
            return "j <= i", INDEX[:, None] >= INDEX
        return draw(comparisons())
    (one, seen), (other, also) = draw(conditions(depth=depth - 1)), draw(conditions(depth=depth - 1))
    if draw(st.booleans()):
        return f"({one}) and ({other})", seen & also
    return f"({one}) or ({other})", seen | also


@settings(max_examples=12, deadline=None, derandomize=True)
@given(condition=conditions(), thin=st.integers(0, 3))
def test_against_pairs(condition, thin):
    text, seen = condition
    assume(seen.any())
    spec = attnc.loads(f"attention a axis i, j: N mask {text}")
    card = spec.card()
    assume(card.orders)
    torch.manual_seed(0)
    inputs = [torch.randn(1, 2, N, 8, requires_grad=True) for _ in "qkv"]
    chosen = [list(token_orders._candidates(order, {"N": N}, torch.device("cpu")))[thin] for order in card.orders]
    before = token_orders.choose_orders
    try:
        reordering.choose_orders = lambda *_: chosen
        found = spec(*inputs)
    finally:
        reordering.choose_orders = before
    wanted = functional.scaled_dot_product_attention(*inputs, attn_mask=seen).nan_to_num(0)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    mine, theirs = (torch.autograd.grad(one.sin().sum(), inputs) for one in (found, wanted))
    torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)
