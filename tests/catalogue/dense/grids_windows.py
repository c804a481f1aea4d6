"""Attentions within windows of pictures and videos, written densely: each pair is looked at by itself."""

import torch
import torch.nn.functional as F

from ..parts import attention, heads, rotate
from ..rows import positive, row
from .grids_places import places

GRID = {"rows": 32, "cols": 64}


def offsets(*axes):
    """For each axis the key's coordinate less the query's, [N, N]."""
    return tuple(x - x[:, None] for x in axes)


@row(
    "3_d_full_attention_with_3_d_rope",
    sizes={"D": 14},
    parameters={"frames": 3, "rows": 4, "cols": 5, "time_width": 2, "row_width": 8},
    draws={"gq": positive, "gk": positive},
    large={"frames": 8, "rows": 16, "cols": 16},
)
def rope_3d(q, k, v, gq, gk, frames, rows, cols, time_width, row_width):
    at = places(frames, rows, cols)
    widths = (time_width, row_width, q.shape[-1] - time_width - row_width)

    def turned(x, gain):
        x = gain * x / x.square().mean(-1, keepdim=True).sqrt()
        return torch.cat([rotate(part, p.to(x)) for part, p in zip(x.split(widths, -1), at)], -1)

    return attention(turned(q, gq), turned(k, gk), v)


def cat_rwin_sa(q, k, v, table, w, rows, cols, short, long, shifted):
    y, x = places(rows, cols)
    dy, dx = offsets(y, x)
    H = q.shape[1]
    seen = []
    for h in range(H):
        high, wide = (short, long) if h < H // 2 else (long, short)
        windows = [(c + shifted * (n // 2)) // n for c, n in ((y, high), (x, wide))]
        seen.append((windows[0][:, None] == windows[0]) & (windows[1][:, None] == windows[1]))
    n = long - 1
    bias = table[:, (n - dy).clamp(0, 2 * n), (n - dx).clamp(0, 2 * n)]
    o = attention(q, k, v, torch.stack(seen), bias)
    image = heads(v, H).mT.flatten(1, 2).unflatten(-1, (rows, cols))
    kernel = w.permute(0, 3, 1, 2).flatten(0, 1)[:, None]
    return o + F.conv2d(image, kernel, padding=1, groups=len(kernel)).flatten(2).unflatten(1, (H, -1)).mT


RECTANGLES = {"rows": 6, "cols": 9, "short": 2, "long": 5}
row("cat_rwin_sa", parameters=RECTANGLES | {"shifted": True}, large=GRID)(cat_rwin_sa)


@row("circular_attention", sizes={"C": 7}, parameters={"rows": 4, "cols": 5}, large=GRID)
def circular_attention(f, wq, wk, wv, bias, rows, cols):
    image = f.unflatten(1, (rows, cols))
    wide = torch.stack([image.roll(1, 2), image, image.roll(-1, 2)], -2)  # [B, Y, X, 3, C]
    q, k, v = (torch.einsum("byxac,hadc->bhxyd", wide, w) for w in (wq, wk, wv))
    n = torch.arange(rows)
    s = q @ k.mT / q.shape[-1] ** 0.5 + bias[:, None, n[:, None] - n + rows - 1]
    return (s.softmax(-1) @ v).transpose(2, 3).flatten(2, 3)


@row("coatnet_relative_attention", parameters={"rows": 4, "cols": 7}, large=GRID)
def coatnet(q, k, v, w, rows, cols):
    dy, dx = offsets(*places(rows, cols))
    return attention(q, k, v, bias=w[:, rows - 1 - dy, cols - 1 - dx])


@row("datr_distortion_aware_attention", parameters={"rows": 5, "cols": 7, "radius": 1}, large=GRID)
def datr(q, k, v, bias, rows, cols, radius):
    dy, dx = offsets(*places(rows, cols))
    seen = (dy.abs() <= radius) & (dx.abs() <= radius)
    side = 2 * radius
    return attention(q, k, v, seen, bias[:, (dy + radius).clamp(0, side), (dx + radius).clamp(0, side)])


@row(
    "freeswim_inward_sliding_window_cross_att",
    "inward_window",
    parameters={"frames": 2, "rows": 5, "cols": 7, "window": 3},
    large={"frames": 4, "rows": 16, "cols": 32},
)
def inward_window(q, k, v, frames, rows, cols, window):
    seen = torch.zeros(frames, rows, cols, frames, rows, cols, dtype=torch.bool)
    for y in range(rows):
        for x in range(cols):
            top, left = min(max(y - window // 2, 0), rows - window), min(max(x - window // 2, 0), cols - window)
            seen[:, y, x, :, top : top + window, left : left + window] = True
    return attention(q, k, v, seen.flatten(3).flatten(0, 2))


@row("freeswim_inward_sliding_window_cross_att", "cross_override", parameters={"anew": True})
def cross_override(k, v, full, kept, anew):
    return attention(full, k, v) if anew else kept


def directions(random, shape):
    return torch.tensor([[0, 1], [1, 0], [-1, 1], [-1, -1]]).repeat(shape[0] // 4 + 1, 1)[: shape[0]]


@row(
    "lookhere_directed_2_d_masks",
    sizes={"N": 29, "L": 3},
    parameters={"cols": 7, "layer": 1},
    draws={"ahead": directions, "half": lambda random, shape: torch.arange(shape[0]) % 3 == 1, "slope": positive},
)
def lookhere(q, k, v, ahead, half, slope, cols, layer):
    patch = torch.arange(q.shape[2] - 1)
    dy, dx = (d.to(q) for d in offsets(patch // cols, patch % cols))
    seen, away = [], F.pad((dy**2 + dx**2).sqrt(), (1, 0, 1, 0))
    for (down, right), wide in zip(ahead.tolist(), half.tolist()):
        turned = torch.atan2(dx, dy) - torch.atan2(*torch.tensor([right, down]).to(q))
        turned = torch.remainder(turned + torch.pi, 2 * torch.pi) - torch.pi
        inside = turned.abs() <= torch.pi / (2 if wide else 4) + 1e-6
        seen.append(F.pad(inside | (dy == 0) & (dx == 0), (1, 0, 1, 0), value=True))
    return attention(q, k, v, torch.stack(seen), -slope[layer, :, None, None] * away)


@row(
    "maxvit_max_sa",
    sizes={"C": 7},
    parameters={"rows": 4, "cols": 6, "side": 3, "cells": 2},
    large={"rows": 32, "cols": 64, "side": 8, "cells": 8},
)
def maxvit(q, k, v, near, far, wo, wq, wk, wv, rows, cols, side, cells):
    y, x = places(rows, cols)
    down, right = rows // cells, cols // cells

    def table(t, y, x):
        dy, dx = (y[:, None] - y), (x[:, None] - x)
        n = t.shape[-1] // 2
        return t[:, (dy + n).clamp(0, 2 * n), (dx + n).clamp(0, 2 * n)]

    def same(y, x):
        return (y[:, None] == y) & (x[:, None] == x)

    o = attention(q, k, v, same(y // side, x // side), table(near, y, x))
    z = torch.einsum("hce,bhie->bic", wo, o)[:, None]
    return attention(z @ wq.mT, z @ wk.mT, z @ wv.mT, same(y % down, x % right), table(far, y // down, x // right))


def pyramid(part):
    """Scale, row or column of the tokens of squares that grow by one from scale to scale."""

    def draw(random, shape):
        numbers = [(s, n // (s + 1), n % (s + 1)) for s in range(40) for n in range((s + 1) ** 2)]
        return torch.tensor([number[part] for number in numbers[: shape[0]]])

    return draw


@row(
    "mvar_spatial_markov_attention",
    sizes={"N": 30, "S": 4},
    parameters={"window": 3},
    draws={
        "scale": pyramid(0),
        "row": pyramid(1),
        "col": pyramid(2),
        "side": lambda random, shape: torch.arange(shape[0]) + 1,
    },
    large={"N": 2048, "S": 18},
)
def mvar(q, k, v, scale, row, col, side, window):
    ratio = side[scale - 1] / side[scale]
    near = ((row - (row * ratio)[:, None]).abs() <= window // 2 + 1e-6) & (
        (col - (col * ratio)[:, None]).abs() <= window // 2 + 1e-6
    )
    seen = near & (scale == scale[:, None] - 1) | torch.eye(len(scale), dtype=torch.bool)
    return attention(q, k, v, seen[None, None])


@row(
    "neighbor_aware_visual_attention",
    sizes={"N": 33},
    parameters={"first": 3, "rows": 4, "cols": 5, "radius": 1},
    draws={"active": lambda random, shape: torch.arange(shape[0]) % 3 != 1},
    large={"rows": 24, "cols": 64},
)
def neighbor_aware(q, k, v, active, first, rows, cols, radius):
    n = torch.arange(q.shape[2])
    n = n[:, None].expand(-1, len(n)), n.expand(len(n), -1)
    visual = torch.logical_and(*((first <= p) & (p < first + rows * cols) for p in n))
    (iy, ix), (jy, jx) = (((p - first) // cols, (p - first) % cols) for p in n)
    near = ((iy - jy).abs() <= radius) & ((ix - jx).abs() <= radius)
    seen = torch.where(visual, near & active[:, None, None], True)
    return attention(q, k, v, seen & (n[1] <= n[0]))
