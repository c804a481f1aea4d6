"""Attentions between pictures, views and frames, written densely."""

import torch
import torch.nn.functional as F

from ..parts import attention, heads
from ..rows import fraction, row
from .grids_places import places


@row("geniedrive_mutual_control_attention_norm", "mutual_control")
def mutual_control(qz, kz, vz, qc, kc, vc):
    return attention(qz, kc, vc), attention(qc, kz, vz)


@row(
    "geniedrive_mutual_control_attention_norm",
    "views",
    parameters={"views": 3, "places": 5},
    large={"views": 4, "places": 512},
)
def views(q, k, v, x, views, places):
    q, k, v = q.unflatten(2, (views, places)), k.unflatten(2, (views, places)), v.unflatten(2, (views, places))
    made = []
    for own in range(views):
        others = [view for view in range(views) if view != own]
        made.append(attention(q[:, :, own], k[:, :, others].flatten(2, 3), v[:, :, others].flatten(2, 3)))
    m = torch.cat(made, 2)
    return x + m * (x.square().mean(-1, keepdim=True) / m.square().mean(-1, keepdim=True)).sqrt()


def grid_of(rows, cols, like):
    return torch.stack([p.to(like) for p in places(rows, cols)], -1)


@row(
    "gmflow_global_matching_flow_propagation",
    "matching",
    parameters={"rows": 4, "cols": 7},
    large={"rows": 32, "cols": 64},
)
def gmflow_matching(q, k, f1, f2, rows, cols):
    scale = q.shape[-1] ** -0.5
    at = grid_of(rows, cols, q).flip(-1)
    flow = (f1 @ f2.mT * scale).softmax(-1) @ at - at
    return (q @ k.mT * scale).softmax(-1) @ flow, flow


@row(
    "gmflow_global_matching_flow_propagation",
    "window",
    parameters={"rows": 5, "cols": 7, "side": 3, "shift": 1},
    large={"rows": 32, "cols": 64},
)
def gmflow_window(q, k, v, rows, cols, side, shift):
    y, x = places(rows, cols)
    y, x = (y + side - shift) // side, (x + side - shift) // side
    return attention(q, k, v, (y[:, None] == y) & (x[:, None] == x))


@row(
    "matchnerf_cross_view_attention_and_group",
    "window",
    parameters={"rows": 5, "cols": 7, "side": 3},
    large={"rows": 32, "cols": 64},
)
def matchnerf_window(q, k, v, rows, cols, side):
    y, x = places(rows, cols)
    return attention(q, k, v, (y[:, None] // side == y // side) & (x[:, None] // side == x // side))


def within(random, shape):
    """Somewhere on the map, or a little beside it."""
    return 4.2 * torch.rand(shape, generator=random) - 0.6


@row(
    "matchnerf_cross_view_attention_and_group",
    "matching",
    sizes={"V": 3, "P": 11, "Y": 4, "X": 5},
    draws={"row": within, "col": within},
    large={"V": 3, "P": 2048, "Y": 32, "X": 64},
)
def matchnerf_matching(f, row, col):
    Y, X = f.shape[3:5]
    wy = torch.relu(1 - (row[..., None] - torch.arange(Y)).abs())
    wx = torch.relu(1 - (col[..., None] - torch.arange(X)).abs())
    seen = torch.einsum("bvpy,bvpx,bhvyxd->bhvpd", wy, wx, f)
    unit = torch.nan_to_num(seen / seen.norm(dim=-1, keepdim=True))
    pairs = [(unit[:, :, a] * unit[:, :, c]).sum(-1) for c in range(row.shape[1]) for a in range(c)]
    return sum(pairs) / len(pairs)


@row(
    "coordformer_coordinate_aware_body_centre",
    sizes={"C": 5},
    parameters={"frames": 3, "places": 7},
    draws={"heat": fraction},
    large={"frames": 32, "places": 64},
)
def coordformer(x, at, heat, wo, wq, wk, wv, uq, uk, uv, frames, places):
    def look(x, wq, wk, wv, swap):
        z = torch.cat((x, at.expand(len(x), -1, -1)), -1)[:, None]
        parts = [z @ wq.mT, z @ wk.mT, x[:, None] @ wv.mT * heat[:, None, :, None]]
        q, k, v = (part.unflatten(2, (frames, places)) for part in parts)
        if swap:
            q, k, v = q.transpose(2, 3), k.transpose(2, 3), v.transpose(2, 3)
        o = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return (o.transpose(2, 3) if swap else o).flatten(2, 3)

    y = torch.einsum("hce,bhie->bic", wo, look(x, wq, wk, wv, False))
    return look(y, uq, uk, uv, True)


@row("inline", sizes={"C": 7, "F": 5}, parameters={"rows": 4, "cols": 7}, large={"rows": 32, "cols": 64})
def inline(q, k, v, x, w1, w2, rows, cols):
    N, D = q.shape[2:]
    k, v = heads(k, q.shape[1]), heads(v, q.shape[1])
    middle = v.mean(2, keepdim=True)
    far = q @ (k.mT @ v) / (N * D**0.5) + (1 - q @ k.mean(2)[..., None] / D**0.5) * middle
    kernel = torch.einsum("hacf,bf->bhac", w2, F.gelu(x.mean(1) @ w1.T))
    image = F.pad(v.unflatten(2, (rows, cols)), (0, 0, 1, 1, 1, 1))
    near = sum(
        kernel[:, :, a, c, None, None, None] * image[:, :, a : a + rows, c : c + cols]
        for a in range(3)
        for c in range(3)
    )
    return far + near.flatten(2, 3)


@row("read_similarity_as_points", parameters={"rows": 5, "cols": 7}, large={"rows": 32, "cols": 64})
def similarity_as_points(seg, f, rows, cols):
    a = (f @ seg[..., None])[..., 0]
    order = a.sort(-1, descending=True).indices
    at = grid_of(rows, cols, a)
    return a, at[order[:, :4]].long(), at[order.flip(-1)[:, :4]].long(), a.softmax(-1) @ at
