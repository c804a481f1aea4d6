"""Ragged axes: sizes that tensors hold; what lies past them does not exist."""

import pytest
import torch

import attnc
from attnc.diagnostics import AttnError

M, N = 7, 11
CHUNKS = """
    attention chunks
    input     id[B, N]: int
    axis      i, j: N
    axis      c: id[N - 1] + 1
    let       key[c] = mean[j: id[j] == c](k[j])
    let       gist[c] = mean[j: id[j] == c](v[j])
    aggregate out[i] = sum[c](softmax[c](q[i] @ key[c] / sqrt(D)) * gist[c])
"""


@pytest.fixture
def qkv(make):
    return [make(2, 2, n, 4).requires_grad_() for n in (N, N, N)]


def ids(*lengths):
    return torch.stack([torch.arange(N) // length for length in lengths])


def chunks(q, k, v, id):
    found = []
    for batch in range(len(q)):
        members = (id[batch] == torch.arange(id[batch, -1] + 1)[:, None]).double()
        share = members / members.sum(1, keepdim=True)
        p = (q[batch] @ (share @ k[batch]).mT / 2).softmax(-1)
        found.append(p @ (share @ v[batch]))
    return torch.stack(found)


def test_each_sequence_has_its_own_number(qkv):
    spec = attnc.loads(CHUNKS)
    for id in (ids(3, 5), ids(11, 1), ids(2, 2)):  # of equal shapes: the number is read at each call
        found, wanted = spec(*qkv, id), chunks(*qkv, id)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(spec.reference(*qkv, id), wanted)
        mine, theirs = (torch.autograd.grad(one.sin().sum(), qkv) for one in (found, wanted))
        torch.testing.assert_close(mine, theirs)
    assert len(spec.__dict__["_caller"].kernels) == 2


def test_higher_derivatives(qkv):
    id = ids(3, 5)
    spec = attnc.loads(CHUNKS)
    attnc.verify(spec, *qkv, id)
    q = qkv[0].detach()[:, :, :2].clone().requires_grad_()
    small = [q, *(t.detach()[:, :, :2] for t in qkv[1:])]
    assert torch.autograd.gradgradcheck(lambda x: spec(x, *small[1:], id[:, :2]), (q,))


def test_the_excess_is_zero(qkv):
    spec = attnc.loads("""
        attention a
        input id[B, N]: int
        require H == G
        axis c: id[N - 1] + 1
        let one[c] = 1.0
        output gist[c] = sum[j: id[j] == c](v[j]), ones[c] = one[c], above[c] = one[c + 1], total = sum[c](one[c])
    """)
    gist, ones, above, total = spec(qkv[2], ids(3, 5))
    assert gist.shape == (2, 2, 4, 4) and gist[1, :, 3].abs().max() == 0
    assert ones.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]] and above.tolist() == [[1, 1, 1, 0], [1, 1, 0, 0]]
    assert total.tolist() == [4, 3]


@pytest.mark.parametrize("size, count", [("many[i]", lambda i, n: n[i]), ("i + 1", lambda i, n: i + 1)])
def test_sizes_that_depend_on_the_query(make, size, count):
    q, k, v = (make(2, 2, n, 4).requires_grad_() for n in (M, N, N))
    many = torch.tensor([0, 3, -2, 11, 1, 0, 5])
    rate = make(2).requires_grad_()
    text = f"""
        attention a
        input rate[H], many[M]: int
        axis t: {size}
        score s = q[i] @ k[j] + sum[t](1.0 * many[i] * rate[h] ** t)
    """
    found = attnc.loads(text)(q, k, v, rate, many)
    terms = [sum((rate**t for t in range(max(int(count(i, many)), 0))), 0 * rate) for i in range(M)]
    s = q @ k.mT + (torch.stack(terms, -1) * many)[:, :, None]
    wanted = s.softmax(-1) @ v
    torch.testing.assert_close(found, wanted)
    inputs = (q, k, v)  # softmax does not notice what all keys of a query have
    mine, theirs = (torch.autograd.grad(one.sin().sum(), inputs) for one in (found, wanted))
    torch.testing.assert_close(mine, theirs)


def test_nothing_at_all(qkv):
    """Where every size is 0, so is the result."""
    spec = attnc.loads("attention a input n[B]: int axis c: n[b] output x[i] = sum[c](c * q[i]), y = sum[c](1.0)")
    x, y = spec(qkv[0], torch.tensor([0, -4]))
    assert x.abs().max() == 0 and y.tolist() == [0, 0]


def test_lengths_of_a_pyramid(make):
    """Deformable attention's levels: each level has its own height and width, and they lie one behind the other."""
    f, start = make(2, 20).requires_grad_(), torch.tensor([0, 12, 18])
    height, width = torch.tensor([3, 2, 1]), torch.tensor([4, 3, 2])
    spec = attnc.loads("""
        attention pyramid
        input f[B, N], start[L]: int, height[L]: int, width[L]: int
        axis l: L, y: height[l], x: width[l]
        output corner[l] = sum[y, x](f[start[l] + y * width[l] + x] * (y + 1.0) * (x + 2.0))
    """)
    found = spec(f, start, height, width)
    wanted = []
    for s, h, w in zip(start.tolist(), height.tolist(), width.tolist()):
        weight = torch.outer(torch.arange(h) + 1.0, torch.arange(w) + 2.0).double().flatten()
        wanted.append(f[:, s : s + h * w] @ weight)
    torch.testing.assert_close(found, torch.stack(wanted, -1))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("input n[M]: int axis t: n[i] output x = sum[t](1.0 * t)", "ragged-alone"),
        ("input n[M] axis t: n[i] output x[i] = sum[t](1.0 * t)", "wrong-type"),
    ],
)
def test_mistakes(text, code):
    with pytest.raises(AttnError) as caught:
        attnc.loads(f"attention a {text}")
    assert caught.value.code == code


def test_not_recorded(qkv):
    compiled = torch.compile(attnc.loads(CHUNKS), fullgraph=True, backend="eager")
    with pytest.raises(Exception, match="a tensor holds the size of one of its axes"):
        compiled(*qkv, ids(3, 5))
