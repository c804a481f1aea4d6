"""Product axes: components, indices of places, and what lies outside a grid."""

import pytest
import torch
from torch.nn import functional

import attnc
from attnc.diagnostics import AttnError

ROWS, COLS = 4, 6
N = ROWS * COLS
GRID = "attention a(rows: int = 4, cols: int = 6) require H == G axis i, j: {y: rows, x: cols}"
Y, X = torch.arange(N) // COLS, torch.arange(N) % COLS


@pytest.fixture
def qkv(make):
    return [make(2, 2, N, 5).requires_grad_() for _ in "qkv"]


def gradients(result, inputs):
    torch.manual_seed(0)
    return torch.autograd.grad(result, inputs, torch.randn_like(result))


def agree(found, wanted, inputs):
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradients(found, inputs), gradients(wanted, inputs))


def test_components(qkv):
    attention = attnc.loads(f"{GRID} mask i.y == j.y or abs(i.x - j.x) <= 1")
    seen = (Y[:, None] == Y) | ((X[:, None] - X).abs() <= 1)
    wanted = functional.scaled_dot_product_attention(*qkv, attn_mask=seen)
    agree(attention(*qkv), wanted, qkv)


def test_components_of_three():
    text = "attention a input f[24] axis i: {t: 2, y: 3, x: 4} output out[i] = f[i] + 100.0 * i.t + 10.0 * i.y + i.x"
    places = torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(4))
    wanted = (places * torch.tensor([100, 10, 1])).sum(-1).double()
    torch.testing.assert_close(attnc.loads(text)(torch.zeros(24, dtype=torch.float64)), wanted)


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (1, 0), (0, 1), (-1, 2), (3, -4), (5, 0)])
def test_shifts(qkv, dy, dx):
    """A place one column past the end is outside, not the first one of the next row."""
    v = qkv[2]
    grid = v.unflatten(2, (ROWS, COLS))
    padded = functional.pad(grid, (0, 0, 9, 9, 9, 9))[..., 9 + dy : 9 + dy + ROWS, 9 + dx : 9 + dx + COLS, :]
    found = attnc.loads(f"{GRID} output out[i] = v[i(i.y + {dy}, i.x + {dx})]")(v)
    agree(found, padded.flatten(2, 3), [v])


def test_convolution(qkv, make):
    v, w = qkv[2], make(2, 3, 3).requires_grad_()
    found = attnc.loads(f"""
        {GRID}
        input w[H, 3, 3]
        axis a, c: 3
        output out[i] = sum[a, c](w[h, a, c] * v[i(i.y + a - 1, i.x + c - 1)])
    """)(v, w)
    each = [
        functional.conv2d(v[:, h].mT.reshape(10, 1, ROWS, COLS), w[h][None, None], padding=1).reshape(2, 5, N).mT
        for h in range(2)
    ]
    agree(found, torch.stack(each, 1), [v, w])


def test_gathered_neighbours(qkv):
    """A neighbourhood as a small sum of places around, and as a mask, is the same attention."""
    around = attnc.loads(f"""
        {GRID}
        axis a, c: 3
        let s[i, a, c] = q[i] @ k[i(i.y + a - 1, i.x + c - 1)] / sqrt(D)
        let inside[i, a, c] = 0 <= i.y + a - 1 and i.y + a - 1 < rows and 0 <= i.x + c - 1 and i.x + c - 1 < cols
        let p[i, a, c] = softmax[a, c: inside[i, a, c]](s[i, a, c])
        output out[i] = sum[a, c](p[i, a, c] * v[i(i.y + a - 1, i.x + c - 1)])
    """)
    masked = attnc.loads(f"{GRID} mask abs(i.y - j.y) <= 1 and abs(i.x - j.x) <= 1")
    agree(around(*qkv), masked(*qkv), qkv)


def test_a_place_of_a_let(qkv):
    v = qkv[2]
    text = f"{GRID} let mixed[i] = 2.0 * v[i] output out[i] = mixed[i(i.y, 0)]"
    wanted = 2 * v.unflatten(2, (ROWS, COLS))[..., :1, :].expand(-1, -1, -1, COLS, -1).flatten(2, 3)
    torch.testing.assert_close(attnc.loads(text).reference(v), wanted)


def test_as_a_number(qkv):
    """Where a component is outside, the index of the place is -1."""
    found = attnc.loads(f"{GRID} output out[i] = v[i] + i(i.y + 1, i.x)")(qkv[2])
    below = torch.where(Y + 1 < ROWS, torch.arange(N) + COLS, -1)
    torch.testing.assert_close(found, qkv[2] + below[:, None])


def test_a_grid_of_another_size(make):
    """What the grid holds and the tensor does not is outside the tensor."""
    f = make(20)
    text = f"{GRID.replace('require H == G', '')} input f[20] output out[i] = f[i(i.y, 0)]"
    starts = Y * COLS
    wanted = torch.where(starts < 20, f[starts.clamp(max=19)], 0.0)
    torch.testing.assert_close(attnc.loads(text)(f), wanted)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("mask i.z == j.y", "unknown-component"),
        ("output out[i] = v[i(i.y)]", "wrong-arguments"),
        ("output out[i] = v[i(i.y, i.x, 0)]", "wrong-arguments"),
        ("output out[i] = v[i(i.y, 0.5)]", "wrong-type"),
    ],
)
def test_mistakes(text, code):
    with pytest.raises(AttnError) as caught:
        attnc.loads(f"{GRID} {text}")
    assert caught.value.code == code


def test_a_wrong_number_of_places(qkv):
    with pytest.raises(AttnError) as caught:
        attnc.loads(f"{GRID} mask i.y == j.y")(*qkv, rows=5)
    assert caught.value.code == "wrong-size"
