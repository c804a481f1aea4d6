"""Attentions on images: neighbourhoods, windows with summaries, matches between two images."""

import torch

from ..parts import attention, heads
from ..rows import below, row, small


def neighbours(n, window, step, causal):
    """[n, n]: by lists of places, one for each remainder."""
    seen = torch.zeros(n, n, dtype=torch.bool)
    for r in range(step):
        places = list(range(r, n, step))
        for at, i in enumerate(places):
            first = at - window + 1 if causal else min(max(at - window // 2, 0), len(places) - window)
            for j in places[max(first, 0) : at + 1 if causal else first + window]:
                seen[i, j] = True
    return seen


@row("faster_neighborhood_attention", "line", sizes={"N": 23}, parameters={"window": 5, "step": 2})
def line(q, k, v, window, step, causal):
    return attention(q, k, v, neighbours(q.shape[2], window, step, causal))


@row(
    "faster_neighborhood_attention",
    "image",
    parameters={"rows": 7, "cols": 9, "wy": 3, "wx": 3, "sy": 2, "sx": 1, "cy": False, "cx": True},
    large={"rows": 32, "cols": 64},
)
def image(q, k, v, rows, cols, wy, wx, sy, sx, cy, cx):
    seen_y, seen_x = neighbours(rows, wy, sy, cy), neighbours(cols, wx, sx, cx)
    return attention(q, k, v, torch.kron(seen_y.int(), seen_x.int()) > 0)


def windows(x, rows, cols, window):
    """[B, rows * cols, C] -> [B, windows, window * window, C]."""
    B, _, C = x.shape
    x = x.reshape(B, rows // window, window, cols // window, window, C)
    return x.transpose(2, 3).reshape(B, -1, window * window, C)


@row(
    "twins_svt_lsa_gsa",
    "local",
    parameters={"rows": 6, "cols": 9, "window": 3},
    large={"rows": 28, "cols": 70, "window": 7},
)
def local(q, k, v, rows, cols, window):
    y, x = torch.arange(rows * cols) // cols // window, torch.arange(rows * cols) % cols // window
    return attention(q, k, v, (y[:, None] == y) & (x[:, None] == x))


@row(
    "twins_svt_lsa_gsa",
    "summaries",
    sizes={"C": 5},
    parameters={"rows": 6, "cols": 9, "window": 3},
    large={"rows": 28, "cols": 70, "window": 7},
)
def summaries(q, x, w, wk, wv, rows, cols, window):
    B, _, C = x.shape
    r = torch.conv2d(x.mT.reshape(B, C, rows, cols), w.permute(2, 3, 0, 1), stride=window).flatten(2)
    key, value = torch.einsum("hdc,bcn->bhnd", wk, r), torch.einsum("hec,bcn->bhne", wv, r)
    return attention(q, key, value)


@row("unimatch_cross_attention_matching", "flow", parameters={"rows": 5, "cols": 7}, large={"rows": 32, "cols": 64})
def flow(f, g, rows, cols):
    n = torch.arange(rows * cols)
    places = torch.stack((n // cols, n % cols), -1).to(f.dtype)
    p = torch.softmax(f @ g.mT / f.shape[-1] ** 0.5, -1)
    dy, dx = (p @ places - places).unbind(-1)
    return dy, dx


@row("unimatch_cross_attention_matching", "propagation")
def propagation(f, flow):
    return torch.softmax(f @ f.mT / f.shape[-1] ** 0.5, -1) @ flow


@row("unimatch_cross_attention_matching", "stereo", parameters={"rows": 5, "cols": 7}, large={"rows": 32, "cols": 64})
def stereo(f, g, rows, cols):
    f, g = (x.reshape(x.shape[0], rows, cols, -1) for x in (f, g))
    s = (f @ g.mT / f.shape[-1] ** 0.5).masked_fill(~torch.ones(cols, cols, dtype=torch.bool).tril(), -torch.inf)
    place = torch.arange(cols, dtype=f.dtype)
    return (place - torch.softmax(s, -1) @ place).flatten(1)


def within(size):
    """Places in an axis, some of them outside by less than one."""
    return lambda random, shape: size * torch.rand(shape, generator=random) - 0.5


@row(
    "unimatch_cross_attention_matching",
    "depth",
    sizes={"N": 11, "K": 3, "D": 6},
    parameters={"rows": 5, "cols": 7},
    draws={"py": within(5), "px": within(7)},
    large={"N": 2048, "rows": 32, "cols": 64},
)
def depth(f, g, py, px, candidate, rows, cols):
    image = g.mT.unflatten(2, (rows, cols))
    middle = torch.stack(((px + 0.5) * 2 / cols - 1, (py + 0.5) * 2 / rows - 1), -1)
    sampled = torch.nn.functional.grid_sample(image, middle, align_corners=False)
    s = torch.einsum("bnd,bdnk->bnk", f, sampled) / f.shape[-1] ** 0.5
    return torch.softmax(s, -1) @ candidate


@row(
    "tic_msa_conv",
    parameters={"rows": 7, "cols": 9, "window": 3, "stride": 2, "step": 2},
    draws={"shift": below(7)},
    large={"rows": 32, "cols": 64, "stride": 1},
)
def shifted_windows(q, k, v, shift, rows, cols, window, stride, step):
    H, reach = q.shape[1], window // 2 * step
    down, across = range(0, rows, stride), range(0, cols, stride)
    results = []
    for h in range(H):
        key, value = (
            heads(x, H)[:, h].unflatten(1, (rows, cols)).roll(tuple(shift[h].tolist()), (1, 2)) for x in (k, v)
        )
        for n, (y, x) in enumerate((y, x) for y in down for x in across):
            ys = [t for t in range(y - reach, y + reach + 1, step) if 0 <= t < rows]
            xs = [t for t in range(x - reach, x + reach + 1, step) if 0 <= t < cols]
            near, seen = (z[:, ys][:, :, xs].flatten(1, 2) for z in (key, value))
            p = torch.softmax(torch.einsum("bd,bnd->bn", q[:, h, n], near) / q.shape[-1] ** 0.5, -1)
            results.append(torch.einsum("bn,bne->be", p, seen))
    return torch.stack(results, 1).unflatten(1, (H, -1))


@row("multi_scale_self_guided_attention", "position", sizes={"C": 7, "R": 5})
def position(x, wq, wk, wv, beta):
    return beta * torch.softmax((x @ wq.T) @ (x @ wk.T).mT, -1) @ (x @ wv.T) + x


@row(
    "multi_scale_self_guided_attention",
    "channel",
    sizes={"C": 7, "P": 18},
    draws={"x": small},
    large={"C": 64, "P": 2048},
)
def channel(x, gamma):
    e = torch.einsum("bcn,bfn->bcf", x, x)
    return gamma * torch.softmax(e.amax(-1, keepdim=True) - e, -1) @ x + x
