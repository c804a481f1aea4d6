"""Gates, linear attentions and convolutions on grids, written densely."""

import torch
import torch.nn.functional as F

from ..parts import attend, attention, heads, scores, softmax
from ..rows import fraction, positive, row
from .grids_places import places


@row("hepos", parameters={"stride": 3})
def hepos(q, k, v, stride):
    own = torch.arange(q.shape[1])[:, None] % stride
    return attention(q, k, v, (torch.arange(k.shape[2]) % stride == own)[:, None])


@row(
    "3_d_attention_gate_in_a_spatio_temporal",
    sizes={"T": 3, "Y": 5, "X": 7, "C": 6, "K": 9, "F": 4},
    parameters={"ratio": 2},
    large={"T": 8, "Y": 16, "X": 16},
)
def gate_3d(f, g, wx, wg, bias, psi, c, ratio):
    for n in range(3):
        g = g.repeat_interleave(ratio, n + 1).narrow(n + 1, 0, f.shape[n + 1])
    gate = torch.sigmoid(torch.relu(f @ wx.T + g @ wg.T + bias) @ psi + c)
    return gate[..., None] * f, gate


def windows(q, k, v, rows, cols, side):
    y, x = places(rows, cols)
    return attention(q, k, v, (y[:, None] // side == y // side) & (x[:, None] // side == x // side))


@row("davit_dual_attention", "window", parameters={"rows": 5, "cols": 7, "side": 3}, large={"rows": 32, "cols": 64})
def davit_window(q, k, v, rows, cols, side):
    return windows(q, k, v, rows, cols, side)


@row("davit_dual_attention", "channel", sizes={"C": 5, "P": 21}, large={"C": 32, "P": 2048})
def davit_channel(q, k, v):
    q, k, v = q.mT, k.mT, v.mT  # [B, H, P, C]
    a = torch.einsum("bhnc,bhnd->bhcd", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("bhcd,bhnd->bhnc", a.softmax(-1), v).mT


@row("l2vit", "window", parameters={"rows": 5, "cols": 9, "side": 4}, large={"rows": 28, "cols": 70, "side": 7})
def l2vit_window(q, k, v, rows, cols, side):
    return windows(q, k, v, rows, cols, side)


@row("l2vit", "linear", parameters={"floor_of_sum": 60.0}, draws={"tau": fraction})
def l2vit_linear(q, k, v, tau, floor_of_sum):
    q, k, v = q.relu(), heads(k, q.shape[1]).relu(), heads(v, q.shape[1])
    total = (q * k.sum(2, keepdim=True)).sum(-1, keepdim=True)
    return tau[:, None, None] * (q @ (k.mT @ v)) / total.clamp(min=floor_of_sum)


def depthwise(x, w):
    """[B, C, Y, X] with a kernel [C, n, n] for each channel, 0 beyond the borders."""
    return F.conv2d(x, w[:, None], padding=w.shape[-1] // 2, groups=len(w))


@row(
    "l2vit",
    "local_concentration",
    sizes={"C": 5},
    parameters={"rows": 9, "cols": 4},
    draws={"scale": positive},
    large={"rows": 32, "cols": 64},
)
def l2vit_local(x, w1, w2, scale, shift, rows, cols):
    n = F.layer_norm(x, x.shape[-1:], eps=0.0).mT.unflatten(-1, (rows, cols))
    n = scale[:, None, None] * F.gelu(depthwise(n, w1)) + shift[:, None, None]
    return x + depthwise(n, w2).flatten(2).mT


@row("linvideo_linear_attention_transfer", sizes={"F": 5}, draws={"r": fraction})
def linvideo(q, k, v, w, r):
    def features(x):
        x = x @ w.mT
        return torch.cat((x.softmax(-1), (-x).softmax(-1)), -1)

    fq, fk, values = features(q), features(heads(k, q.shape[1])), heads(v, q.shape[1])
    linear = fq @ (fk.mT @ values) / (fq @ fk.sum(2)[..., None])
    return r * attend(softmax(scores(q, k)), v) + (1 - r) * linear


@row("lkca", "convolution", parameters={"rows": 5, "cols": 8, "radius": 2}, large={"rows": 32, "cols": 64})
def lkca_convolution(v, w, rows, cols, radius):
    x = heads(v, len(w)).mT.unflatten(-1, (rows, cols))
    made = [depthwise(x[:, h], w[h].expand(x.shape[2], -1, -1)) for h in range(len(w))]
    return torch.stack(made, 1).flatten(3).mT


@row("lkca", "toeplitz", parameters={"rows": 5, "cols": 8, "radius": 2}, large={"rows": 32, "cols": 64})
def lkca_toeplitz(v, w, rows, cols, radius):
    y, x = places(rows, cols)
    dy, dx = y - y[:, None], x - x[:, None]
    near = (dy.abs() <= radius) & (dx.abs() <= radius)
    side = 2 * radius
    a = w[:, (dy + radius).clamp(0, side), (dx + radius).clamp(0, side)] * near
    return attend(a.expand(len(v), -1, -1, -1), v)


def strip(f, w, dim):
    """[B, Y, X, C] convolved along one axis with a kernel for each channel."""
    x, w = f.permute(0, 3, 1, 2), w[:, None, None, :] if dim == 2 else w[:, None, :, None]
    half = max(w.shape[2:]) // 2
    return F.conv2d(x, w, padding=(0, half) if dim == 2 else (half, 0), groups=len(w)).permute(0, 2, 3, 1)


@row("mca", "strips", sizes={"Y": 13, "X": 23, "C": 3}, large={"Y": 32, "X": 64, "C": 16})
def mca_strips(f, u1, u2, u3, w1, w2, w3):
    return sum(strip(f, w, 2) for w in (u1, u2, u3)), sum(strip(f, w, 1) for w in (w1, w2, w3))


@row(
    "mca",
    "cross_axis",
    sizes={"Y": 5, "X": 7, "C": 3, "A": 21, "E": 15},
    large={"Y": 32, "X": 64, "C": 3, "A": 192, "E": 96},
)
def mca_cross_axis(fx, fy, gx, gy, wo):
    def along(q, k):
        return (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1) @ k + q

    rows = along(fy, fx).unflatten(-1, (-1, len(wo)))
    cols = along(gx, gy).unflatten(-1, (-1, len(wo))).transpose(1, 2)
    return (rows + cols) @ wo.T
