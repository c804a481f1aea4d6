"""Parameters with kernels of their own decide what is read, and so what a call takes."""

import pytest
import torch

import attnc

SPEC = """attention branches(align: "dot" | "location", is_gated: bool = False)
input     place[N, D], gate[B, M]
score     s = q[i] @ k[j] if align == "dot" else q[i] @ place[j]
aggregate out[i] = (gate[i] if is_gated else 1.0) * sum[j](p * v[j])
"""


@pytest.fixture
def given():
    random = torch.Generator().manual_seed(0)
    shapes = {"q": (1, 2, 5, 4), "k": (1, 2, 7, 4), "v": (1, 2, 7, 3), "place": (7, 4), "gate": (1, 5)}
    return {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}


def dense(q, keys, v):
    return (q @ keys.mT).softmax(-1) @ v


def test_a_default_that_no_branch_reads_is_no_input(given):
    spec = attnc.loads(SPEC)
    q, k, v, place, gate = given.values()
    torch.testing.assert_close(spec(q, v, place, gate, align="location"), dense(q, place, v))
    torch.testing.assert_close(spec(q, k, v, place, gate), dense(q, k, v))
    gated = spec(q=q, v=v, place=place, gate=gate, align="location", is_gated=True)
    torch.testing.assert_close(gated, gate[:, None, :, None] * dense(q, place, v))


def test_messages_tell_of_the_branch(given):
    spec = attnc.loads(SPEC)
    q, k, v, place, gate = given.values()
    with pytest.raises(attnc.AttnError, match=r"takes 4 tensors \(q, v, place, gate\), but 5 are given"):
        spec(q, k, v, place, gate, align="location")
    with pytest.raises(attnc.AttnError, match=r"called as 'branches\(q, k, v, place, gate"):
        spec(q, v, place, gate)
    with pytest.raises(attnc.AttnError, match="'align' of 'branches' must be 'dot' or 'location', not 'both'"):
        spec(q, k, v, place, gate, align="both")
