"""Rotary positions of videos and of longer contexts; heads that are pruned; maps that are kept."""

import torch

from ..parts import attend, attention, causal, heads, rotate, scores, softmax
from ..rows import row


def turn_by(x, pos, base):
    """[B, H, N, D] by positions [N, D / 2], one for each pair of features."""
    R = x.shape[-1] // 2
    angle = pos * base ** (-torch.arange(R, dtype=x.dtype) / R)
    turned = torch.complex(x[..., :R], x[..., R:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((turned.real, turned.imag), -1)


@row(
    "vrope",
    sizes={"N": 23},
    parameters={"frames": 2, "rows": 2, "cols": 4, "before": 3, "base": 100.0},
    large={"N": 2048, "frames": 8, "rows": 14, "cols": 14},
)
def vrope(q, k, v, frames, rows, cols, before, base):
    N, R = q.shape[2], q.shape[-1] // 2
    places = [[n] * 4 for n in range(before)]
    for t in range(frames):
        for y in range(rows):
            for x in range(cols):
                four = (y + x, y + cols - 1 - x, rows - 1 - y + x, rows - 1 - y + cols - 1 - x)
                places.append([u + t * (rows + cols - 1) + before for u in four])
    end = before + frames * (rows + cols - 1)
    places += [[end + n] * 4 for n in range(N - len(places))]
    pos = torch.tensor(places, dtype=q.dtype)[:, torch.arange(R) % 4]
    return attention(turn_by(q, pos, base), turn_by(k, pos, base), v, causal(N))


@row("amp_head_pruning", sizes={"S": 5, "C": 7}, parameters={"keep": 3})
def pruned(q, k, v, x, w, keep):
    matters = torch.stack([(x @ w[h].mT).square().sum().sqrt() for h in range(len(w))])
    kept = torch.zeros_like(matters)
    kept[matters.topk(keep).indices] = 1
    return kept[:, None, None] * attention(q, k, v, causal(q.shape[2])), matters.expand(len(q), -1)


@row("kv_tracker", attention="map")
def scene_map(q, k, v):
    return attention(q, k, v)


@row("kv_tracker", attention="track", large={"M": 256, "N": 2048})
def track(q, k, v, frame_k, frame_v):
    return attention(q, torch.cat((k, frame_k), 2), torch.cat((v, frame_v), 2))


def places(q):
    return torch.arange(q.shape[2], dtype=q.dtype)


def turned(q, k, v, pos, base):
    return attention(rotate(q, pos, base), rotate(k, pos, base), v, causal(q.shape[2]))


STUDY = "controlled_study_of_long_context_extensi"


@row(STUDY, attention="interpolation", parameters={"factor": 3.0, "base": 100.0})
def interpolation(q, k, v, factor, base):
    return turned(q, k, v, places(q) / factor, base)


@row(STUDY, attention="ntk", parameters={"factor": 3.0, "base": 100.0})
def ntk(q, k, v, factor, base):
    D = q.shape[-1]
    return turned(q, k, v, places(q), base * factor ** (D / (D - 2)))


def two_ranges(q, k, near, far, within, base):
    """Scores by two pairs of positions, of queries and of keys."""
    s = [scores(rotate(q, a, base), rotate(k, b, base)) for a, b in (near, far)]
    return torch.where(within, *s)


@row(STUDY, attention="self_extend", parameters={"group": 3, "window": 6, "base": 100.0})
def self_extend(q, k, v, group, window, base):
    n = places(q)
    grouped = n.div(group, rounding_mode="floor")
    within = n[:, None] - n < window
    s = two_ranges(q, k, (n, n), (grouped + window - window // group, grouped), within, base)
    return attend(softmax(s, causal(len(n)).expand_as(s)), v)


@row(STUDY, attention="lm_infinite", parameters={"first": 2, "reach": 5, "base": 100.0})
def lm_infinite(q, k, v, first, reach, base):
    n = places(q)
    within = n[:, None] - n < reach
    s = two_ranges(q, k, (n, n), (torch.full_like(n, reach), torch.zeros_like(n)), within, base)
    return attend(softmax(s, (causal(len(n)) & (within | (n < first))).expand_as(s)), v)


@row(STUDY, attention="shifted", parameters={"group": 6, "base": 100.0})
def shifted(q, k, v, group, base):
    q, k, v, n = rotate(q, places(q), base), rotate(heads(k, 4), places(q), base), heads(v, 4), torch.arange(q.shape[2])
    half, read = q.shape[1] // 2, []
    for h in range(q.shape[1]):
        number = (n + group // 2 if h < half else n) // group
        seen = causal(len(n)) & (number[:, None] == number)
        read.append(attention(q[:, h, None], k[:, h, None], v[:, h, None], seen))
    return torch.cat(read, 1)
