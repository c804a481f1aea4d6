"""Attention on images: pooled, gated, convolved."""

import torch
from torch.nn.functional import avg_pool2d, conv2d, elu, interpolate, max_pool2d

from ..parts import heads, rotate, softmax
from ..rows import row


def depthwise(x, w):
    """[B, H, rows, cols, E] convolved with [H, size, size, E], each feature by itself."""
    H, E = x.shape[1], x.shape[4]
    kernel = w.permute(0, 3, 1, 2).flatten(0, 1)[:, None]
    image = x.permute(0, 1, 4, 2, 3).flatten(1, 2)
    return conv2d(image, kernel, padding=w.shape[1] // 2, groups=H * E).unflatten(1, (H, E)).permute(0, 1, 3, 4, 2)


@row("rala", sizes={"C": 3}, parameters={"rows": 3, "cols": 7}, large={"rows": 32, "cols": 64})
def rala(q, k, v, x, near, wg, wo, rows, cols):
    H, N, D = q.shape[1:]
    k, v, n = heads(k, H), heads(v, H), torch.arange(N)
    phi_q, phi_k = elu(q) + 1, elu(k) + 1
    weight = N * (phi_q.mean(2, keepdim=True) @ phi_k.mT / D**0.5).softmax(-1)
    keys = weight.mT * phi_k
    o = rotate(phi_q, n) @ (rotate(keys, n).mT @ v) / (phi_q @ keys.sum(2)[..., None])
    o = o + depthwise(v.unflatten(2, (rows, cols)), near).flatten(2, 3)
    return torch.einsum("hce,bhne,hed,bnd->bnc", wo, o, wg, x)


@row(
    "agent_attention",
    sizes={"N": 24, "M": 24},
    parameters={"cols": 6, "size": 2},
    large={"M": 2048, "N": 2048, "cols": 64, "size": 8},
)
def agents(q, k, v, b1, b2, w, cols, size):
    H, D, rows = q.shape[1], q.shape[3], q.shape[2] // cols
    k, v = heads(k, H), heads(v, H)
    a = avg_pool2d(q.mT.unflatten(3, (rows, cols)).flatten(0, 1), size).flatten(2).mT.unflatten(0, q.shape[:2])
    gathered = (a @ k.mT / D**0.5 + b1).softmax(-1) @ v
    o = (q @ a.mT / D**0.5 + b2).softmax(-1) @ gathered
    return o + depthwise(v.unflatten(2, (rows, cols)), w).flatten(2, 3)


@row("efficient_attention")
def efficient(q, k, v):
    H = q.shape[1]
    return q.softmax(-1) @ (heads(k, H).softmax(2).mT @ heads(v, H))


ELOFTR = "eloftr_aggregated_attention"


@row(
    ELOFTR,
    "aggregated",
    sizes={"M": 24, "N": 24},
    parameters={"cols": 6},
    large={"M": 2048, "N": 2048, "cols": 64},
)
def aggregated(q, k, v, w, cols, rotary):
    (H, N, D), E = q.shape[1:], v.shape[-1]
    rows = N // cols
    q, k, v = (heads(x, H).unflatten(2, (rows, cols)).permute(0, 1, 4, 2, 3).flatten(1, 2) for x in (q, k, v))
    q = conv2d(q, w.permute(0, 3, 1, 2).flatten(0, 1)[:, None], stride=2, groups=H * D)
    k, v = max_pool2d(k, 2), max_pool2d(v, 2)
    small = q.shape[2:]
    q, k, v = (x.unflatten(1, (H, -1)).flatten(3).mT for x in (q, k, v))
    if rotary:
        n = torch.arange(q.shape[2])
        q, k = (
            torch.cat((rotate(x[..., : D // 2], n // small[1]), rotate(x[..., D // 2 :], n % small[1])), -1)
            for x in (q, k)
        )
    o = ((q @ k.mT / D**0.5).softmax(-1) @ v).mT.unflatten(3, small).flatten(1, 2)
    o = interpolate(o, size=(rows, cols), mode="bilinear", align_corners=False)
    return o.flatten(2).unflatten(1, (H, E)).mT


@row(ELOFTR, "fine", sizes={"C": 7}, parameters={"size": 5})
def fine(x, window, size):
    s = torch.einsum("bmc,bmyxc->bmyx", x, window)
    best = s.flatten(2).argmax(2)
    places = torch.arange(size)
    near_row = (places - (best // size)[..., None]).abs() <= 1
    near_col = (places - (best % size)[..., None]).abs() <= 1
    seen = (near_row[..., :, None] & near_col[..., None, :]).flatten(2)
    p = softmax(s.flatten(2), seen).unflatten(2, (size, size))
    at = places.to(x.dtype)
    return p.sum(3) @ at, p.sum(2) @ at


@row(
    "residual_attention_module_in_lambda_pnn",
    sizes={"N": 35, "C": 6, "K": 3},
    parameters={"cols": 7},
    large={"N": 2048, "cols": 64},
)
def residual(x, f, w1, w2, w, cols):
    x, f = x.unflatten(1, (-1, cols)), f.unflatten(1, (-1, cols))
    channel = torch.sigmoid(torch.relu(x.mean((1, 2)) @ w1.T) @ w2.T)[:, None, None]
    statistics = torch.stack((x.mean(3), x.amax(3)), 1)
    place = torch.sigmoid(conv2d(statistics, w[None], padding=1))[:, 0, :, :, None]
    return (x + place * channel * f).flatten(1, 2)


@row("u_gat_it_cam_attention", sizes={"Y": 5, "X": 7, "C": 6, "K": 3}, large={"Y": 32, "X": 64})
def activation_map(x, wm, wt, w):
    maps = torch.cat((wm * x, wt * x), 3)
    return maps @ w.T, x.mean((1, 2)) @ wm, x.amax((1, 2)) @ wt
