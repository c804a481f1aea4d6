"""Tiles at the border of a mask are multiplied in strips of rows; what is left out is never read."""

import pytest
import torch

import attnc

MASKS = {
    "causal": ("j <= i", lambda i, j: j <= i),
    "later": ("j >= i", lambda i, j: j >= i),
    "window": ("j <= i and i - j < 40", lambda i, j: (j <= i) & (i - j < 40)),
    "both sides": ("abs(i - j) < 30", lambda i, j: (i - j).abs() < 30),
    "steep": ("j <= 3 * i - 100", lambda i, j: j <= 3 * i - 100),
    "falling": ("i + j < 180", lambda i, j: i + j < 180),
}
SCORES = {
    "plain": ("", lambda s: s),
    "capped": ("score s = softcap(q[i] @ k[j] / sqrt(D), 2.0)\n", lambda s: 2 * (s / 2).tanh()),
}


def text_of(mask, score=""):
    return f"attention stripped\naxis i, j: N\n{score}mask {mask}\n"


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("N, D", [(200, 16), (97, 5), (300, 70)])
def test_results_and_gradients(mask, score, N, D):
    spelt, exists = MASKS[mask]
    head, change = SCORES[score]
    random = torch.Generator().manual_seed(0)
    given = [torch.randn(1, 2, N, D, generator=random).requires_grad_() for _ in range(3)]
    q, k, v = (x.detach().double().requires_grad_() for x in given)
    place = torch.arange(N)
    pairs = exists(place[:, None], place)
    s = change(q @ k.mT / D**0.5).masked_fill(~pairs, -torch.inf)
    weights = torch.where(pairs.any(1, keepdim=True), s, 0).softmax(-1) * pairs
    wanted = weights @ v
    cotangent = torch.randn(wanted.shape, generator=random)
    found = attnc.loads(text_of(spelt, head))(*given)
    torch.testing.assert_close(found, wanted.float(), atol=2e-5, rtol=2e-5)
    gradients = torch.autograd.grad(found, given, cotangent)
    for one, other in zip(gradients, torch.autograd.grad(wanted, (q, k, v), cotangent.double())):
        torch.testing.assert_close(one, other.float(), atol=1e-4, rtol=1e-4)


def test_only_where_pairs_follow_rows_and_sweeps_keep_to_them():
    def has_strips(text, backward=False):
        return "strip_rows" in attnc.loads(text).source(backward=backward)

    for mask in (MASKS[name][0] for name in MASKS if name != "both sides"):  # bounds do not tell of abs
        assert has_strips(text_of(mask)) and has_strips(text_of(mask), backward=True)
    assert not has_strips("attention full\n")
    assert not has_strips("attention padded\ninput length[B]: int\nmask j < length\n")
    assert not has_strips(text_of("j <= i") + "output out, best[i] = argmax[j](s)\n")
