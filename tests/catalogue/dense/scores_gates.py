"""Unusual scores, gates, pointers, prompts and memories."""

from math import pi

import torch
from torch.nn import functional

from ..parts import attend, attention, causal, heads, rotate, softmax
from ..rows import below, fraction, row


@row(
    "attention_gate_2_d",
    sizes={"Y": 6, "X": 10, "P": 3, "Q": 5, "C": 7, "K": 4, "F": 9},
    large={"Y": 32, "X": 64, "P": 16, "Q": 32},
)
def attention_gate(f, g, wf, wg, b, psi, c):
    up = functional.interpolate(g.permute(0, 3, 1, 2), f.shape[1:3], mode="nearest")
    a = (f @ wf.mT + up.permute(0, 2, 3, 1) @ wg.mT + b).relu() @ psi + c
    return a.sigmoid()[..., None] * f


@row(
    "acat_soft_saliency_attention_masks",
    sizes={"Y": 5, "X": 7, "P": 10, "Q": 21, "C": 4},
    large={"Y": 32, "X": 64, "P": 64, "Q": 192},
)
def acat(f, saliency, w, bias, norm, residual):
    stride = (saliency.shape[1] // f.shape[1], saliency.shape[2] // f.shape[2])
    z = functional.conv2d(saliency[:, None], w[None, None], padding=1, stride=stride)[:, 0] + bias
    m = z.flatten(1).softmax(-1).view_as(z) if norm == "softmax" else z.sigmoid()
    scaled = f * m[..., None]
    return scaled + f if residual else scaled


@row("pointer_network", sizes={"C": 5, "F": 7}, draws={"length": below(20)})
def pointer_network(decoder, encoder, w1, w2, w, length):
    hidden = (decoder @ w2.T)[:, :, None] + (encoder @ w1.T)[:, None]
    seen = torch.arange(encoder.shape[1]) < length[:, None, None]
    return softmax(hidden.tanh() @ w, seen)


@row("tapa", parameters={"R": 3, "alpha": 0.3})
def tapa(q, k, v, R, alpha):
    k = heads(k, q.shape[1])
    n = torch.arange(q.shape[2], dtype=q.dtype)
    amplitude = q[..., :R] @ k[..., :R].mT / R**0.5
    phase = q[..., R:] @ k[..., R:].mT / (q.shape[-1] - R) ** 0.5
    s = amplitude * torch.cos(2 * pi * (n[:, None] - n).abs() ** alpha * phase)
    return attend(softmax(s, causal(len(n))), v)


@row(
    "tempofit_temporal_kv_memory_with_fgtb",
    parameters={"frames": 3, "penalty": 0.4, "eta": 0.7},
    large={"M": 64, "N": 512},
)
def tempofit(q, k, v, past_k, past_v, frames, penalty, eta):
    gap = (frames - torch.arange(frames, dtype=q.dtype)).repeat_interleave(k.shape[2])
    a = (k @ past_k.mT / k.shape[-1] ** 0.5 - penalty * gap).softmax(-1)
    key, value = k + eta * a @ past_k, v + eta * a @ past_v
    key = key / key.norm(dim=-1, keepdim=True) * k.norm(dim=-1, keepdim=True)
    value = value / value.norm(dim=-1, keepdim=True) * v.norm(dim=-1, keepdim=True)
    return attention(q, key, value)


@row(
    "tcpa",
    sizes={"P": 11, "C": 5},
    parameters={"keep": 2},
    draws={"role": below(3), "prompt_role": below(2)},
)
def tcpa(q, k, v, x, role, kp, vp, anchor, prompt_role, keep):
    B, H, N, D = q.shape
    same = role[:, None] == prompt_role
    near = functional.cosine_similarity(x[:, :, None], anchor, dim=-1).masked_fill(~same, -torch.inf)
    best = torch.zeros_like(near, dtype=torch.bool).scatter(-1, near.topk(keep).indices, True)
    allowed = (best & same)[:, None].expand(B, H, N, -1)
    seen = torch.cat((torch.ones(B, H, N, N, dtype=torch.bool), allowed), -1)
    keys = torch.cat((heads(k, H), kp.expand(B, *kp.shape)), 2)
    values = torch.cat((heads(v, H), vp.expand(B, *vp.shape)), 2)
    return softmax(q @ keys.mT / D**0.5, seen) @ values


@row(
    "dreammatcher_appearance_matching_self_at",
    sizes={"N": 21, "M": 21, "C": 3, "P": 17},
    parameters={"cols": 7, "radius": 2.0},
)
def dreammatcher(q, k, v, psi, ref_psi, ref_v, foreground, cols, radius):
    similar = functional.cosine_similarity(psi[:, :, None], ref_psi[:, None], dim=-1)
    match, back = similar.argmax(2), similar.argmax(1)
    home, n = back.gather(1, match), torch.arange(q.shape[2])
    missed = torch.hypot((home // cols - n // cols).double(), (home % cols - n % cols).double())
    M = ((missed <= radius) & foreground).to(v.dtype)[:, None, :, None]
    warped = torch.stack([one[:, there] for one, there in zip(ref_v, match)])
    return attention(q, k, M * warped + (1 - M) * v)


@row("freegraftor_position_constrained_attenti", sizes={"C": 3, "P": 11})
def freegraftor(q, k, v, f, ref_f, ref_k, ref_v, threshold):
    B, H, N, D = q.shape
    P, place = ref_k.shape[2], torch.arange(N)
    similar = functional.cosine_similarity(ref_f[:, :, None], f[:, None], dim=-1)
    match, back = similar.argmax(2), similar.argmax(1)
    keep = (back.gather(1, match) == torch.arange(P)) & (similar.amax(2) > threshold)
    turned = rotate(heads(ref_k, H), match[:, None].to(q.dtype))
    K = torch.cat((rotate(heads(k, H), place), turned), 2)
    seen = torch.cat((torch.ones(B, N, dtype=torch.bool), keep), 1)[:, None, None]
    p = softmax(rotate(q, place) @ K.mT / D**0.5, seen)
    return p @ torch.cat((heads(v, H), heads(ref_v, H)), 2)


@row("gnmt_attention_coverage_penalty", sizes={"C": 5, "F": 7}, parameters={"alpha": 0.7, "beta": 0.3})
def gnmt(y, x, wy, wx, w, log_p, alpha, beta):
    p = (torch.tanh((y @ wy.T)[:, :, None] + (x @ wx.T)[:, None]) @ w).softmax(-1)
    length_penalty = (5 + y.shape[1]) ** alpha / 6**alpha
    coverage = beta * p.sum(1).clamp(max=1).log().sum(1)
    return p @ x, log_p / length_penalty + coverage


@row("show_attend_tell_soft_hard_attention", sizes={"C": 5, "F": 7}, parameters={"penalty": 0.7}, draws={"u": fraction})
def show_attend_tell(state, a, ws, wa, w, gate, bias, u, penalty):
    p = (torch.tanh((state @ ws.T)[:, :, None] + (a @ wa.T)[:, None]) @ w).softmax(-1)
    soft = (state @ gate + bias).sigmoid()[..., None] * (p @ a)
    drawn = torch.searchsorted(p.detach().cumsum(-1), u.detach()[..., None])[..., 0]
    hard = torch.stack([one[there] for one, there in zip(a, drawn)])
    return soft, hard, penalty * ((1 - p.sum(1)) ** 2).sum(1)


@row(
    "adaptive_attention_highlighting",
    parameters={"layers": 3, "gamma": 2.5},
    draws={"word": below(19)},
)
def highlighting(q, k, v, q0, k0, word, text, layers, gamma):
    p = (q0 @ k0.mT / q.shape[-1] ** 0.5).softmax(-1).mean((1, 2))
    region = torch.stack([one[:, n] for one, n in zip(p, word)])
    region = region / region.amax(1, keepdim=True)
    gain = torch.log(1 + gamma * region)[:, :, None] * text[:, None]
    return attention(q, k, v, bias=gain[:, None]), region


@row(
    "ddla_latent_alignment_over_difference_cl",
    sizes={"C": 5, "F": 7, "V": 11},
    parameters={"sentences": 3},
    draws={"cluster": below(5), "word": below(11), "sentence": below(3)},
)
def ddla(state, x, ws, wx, w, emit, prior, cluster, word, sentence, sentences):
    s = torch.tanh((state @ ws.T)[:, :, None] + (x @ wx.T)[:, None]) @ w
    clusters = torch.arange(len(prior))
    p = softmax(s[:, None].expand(-1, len(prior), -1, -1), cluster[:, None, None] == clusters[:, None, None])
    words = (p @ x[:, None] @ emit.T).log_softmax(-1)
    likely = words.gather(-1, word[:, None, :, None].expand(-1, len(prior), -1, 1))[..., 0]
    total = 0
    for t in range(sentences):
        joint = prior.softmax(0).log() + (likely * (sentence == t)[:, None]).sum(-1)
        total = total + joint.exp().sum(1).log()
    return total
