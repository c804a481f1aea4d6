"""Attentions of several stages: mixtures of heads, products of maps, levels that feed one another."""

import torch

from ..parts import attention, causal, rotate, scores, softmax
from ..rows import below, positive, row


@row("mae", sizes={"C": 5, "R": 7})
def mixture_without_a_head(q, k, v, x, w1, w2, wo):
    H = q.shape[1]
    hidden = torch.relu(x.mean(1) @ w1.T)
    g = torch.softmax(hidden @ w2.T, -1)
    heads = torch.einsum("bhie,hce->hbic", attention(q, k, v), wo)
    expert = [sum(heads[h] for h in range(H) if h != e) * H / (H - 1) for e in range(H)]
    return sum(g[:, e, None, None] * expert[e] for e in range(H)), g


def cross(x, y, wq, wk, wv):
    return torch.softmax((x @ wq.T) @ (y @ wk.T).mT / wq.shape[0] ** 0.5, -1) @ (y @ wv.T)


@row("hierarchical_cross_attention_block", sizes={"D": 5})
def levels(x, y, wq, wk, wv):
    for level in zip(wq, wk, wv):
        x, y = x + cross(x, y, *level), y + cross(y, x, *level)
    return x, y


@row("str_score", sizes={"D": 5}, parameters={"frames": 3, "places": 7})
def relevance(qs, ks, qt, kt, frames, places):
    qs, ks, qt, kt = (x.unflatten(2, (frames, places)) for x in (qs, ks, qt, kt))
    D = qs.shape[-1]
    space = torch.softmax(torch.einsum("bhtid,bhtjd->bhtij", qs, ks) / D**0.5, -1)
    time = torch.softmax(torch.einsum("bhtjd,bhujd->bhjtu", qt, kt) / D**0.5, -1)
    first = torch.einsum("bhtij,bhjtu->bhtiuj", space, time)
    other = torch.einsum("bhitu,bhuij->bhtiuj", time, space)
    return first.flatten(4).flatten(2, 3), other.flatten(4).flatten(2, 3)


@row("rsq_attention_concentration", "importance", parameters={"low": 0.05})
def importance(q, k, low):
    s = scores(q, k)
    r = softmax(s, causal(s.shape[-1]).expand_as(s)).sum((1, 2))
    least, largest = r.amin(1, keepdim=True), r.amax(1, keepdim=True)
    return low + (1 - low) * (r - least) / (largest - least)


@row("rsq_attention_concentration", "hessian", sizes={"C": 5, "R": 3}, draws={"r": positive})
def hessian(x, y, r):
    return 2 * torch.einsum("bcn,bn,bnf->bcf", y, r * r, x)


@row("multi_lane_patch_selectors", sizes={"C": 5, "S": 4, "P": 3}, large={"C": 64})
def selectors(x, cls, t, wq, wk, wv, kp, vp):
    B, _, C = x.shape
    x = x.detach()
    g = torch.softmax(t @ x.mT / C**0.5, -1) @ x
    y = torch.cat((cls.expand(B, 1, C), g), 1)
    q, k, v = (torch.einsum("hdc,bnc->bhnd", w, y) for w in (wq, wk, wv))
    return attention(q, torch.cat((kp, k), 2), torch.cat((vp, v), 2))


BOX = {"box": below(9)}


def layout_scores(box, table, wq, wk):
    layout = sum(table[a][box[..., a]] for a in range(6))
    q, k = (torch.einsum("hdc,bnc->bhnd", w, layout) for w in (wq, wk))
    return scores(q, k)


@row("skim_attention", "skim", sizes={"R": 9, "C": 5, "F": 7}, draws=BOX)
def skim(box, table, wq, wk, t, wv, wo):
    p = torch.softmax(layout_scores(box, table, wq, wk), -1)
    first = p @ (t[:, None] @ wv[0].mT)
    y = t + torch.einsum("hfe,bhne->bnf", wo, first)
    return p @ (y[:, None] @ wv[1].mT)


@row("skim_attention", "mask", sizes={"R": 9, "C": 5}, draws=BOX, parameters={"keep": 5})
def skim_mask(q, k, v, box, table, wq, wk, keep):
    s = layout_scores(box, table, wq, wk)
    return attention(q, k, v, torch.zeros_like(s).scatter(-1, s.topk(keep).indices, 1) > 0)


@row(
    "sepretr_line_sampling_cross_attention",
    sizes={"E": 8, "X": 11},
    parameters={"rows": 7, "lines": 3},
    draws={"line": lambda random, shape: torch.randperm(11, generator=random)[: shape[0]]},
)
def separators(q, k, v, kx, vx, line, rows, lines):
    own = q + torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v
    return torch.stack([attention(own, kx[..., x, :], vx[..., x, :]) for x in line], 3)


@row("oat_object_level_attention", sizes={"D": 10}, draws={"place": positive})
def pointer(seen, object, place, valid, base):
    D = seen.shape[-1]
    code = torch.zeros_like(object)
    for d in range(D):
        turn = place[..., d % 2] * base ** (-(d // 4) / -(-D // 4))
        code[..., d] = torch.cos(turn) if d % 4 >= 2 else torch.sin(turn)
    x, y = object + code, seen
    s = y @ y.mT / D**0.5
    y = y + softmax(s, causal(y.shape[1]).expand_as(s)) @ y
    s = y @ x.mT / D**0.5
    y = y + softmax(s, valid[:, None].expand_as(s)) @ x
    s = y @ x.mT / D**0.5
    return softmax(s, valid[:, None].expand_as(s))


@row("rnope_swa_hybrid", "full", parameters={"normed": True})
def without_positions(q, k, v, normed):
    if normed:
        q, k = (torch.nn.functional.rms_norm(x, x.shape[-1:], eps=0) for x in (q, k))
    return attention(q, k, v, causal(q.shape[2]))


@row("rnope_swa_hybrid", "local", parameters={"window": 4})
def rotary_window(q, k, v, window, base):
    N = q.shape[2]
    n = torch.arange(N)
    place = n.to(q.dtype)
    near = causal(N) & (n[:, None] - n < window)
    return attention(rotate(q, place, base), rotate(k, place, base), v, near)


@row("grf_attsets_view_aggregation", sizes={"V": 5, "C": 7})
def views(x, w):
    s = torch.einsum("dc,bmvc->bmvd", w, x)
    e = s.exp()
    return (e * x).sum(2) / e.sum(2)
