"""Gates for channels, places and layers, and what mixes them."""

import torch
from torch.nn import functional

from ..parts import attend, causal, heads, scores, softmax
from ..rows import below, positive, row, small


@row("csa", sizes={"C": 7, "K": 5, "F": 3})
def csa(f, r, w1, w2, w):
    channel = torch.sigmoid((r.mean(1) @ w1.T).relu() @ w2.T)[:, None]
    time = functional.conv1d(r.mT, w.T[None], padding=1).sigmoid().mT
    return f * channel + f * time


@row("sentence_attention_block", sizes={"Y": 5, "X": 7, "C": 6, "K": 4, "F": 3}, large={"Y": 32, "X": 64})
def sentence_attention_block(f, sentence, w1, w2):
    squeezed = torch.cat((f.mean((1, 2)), sentence), -1)
    return f * ((squeezed @ w1.T).relu() @ w2.T).sigmoid()[:, None, None]


@row("high_order_attention_mhn", sizes={"Y": 5, "X": 7, "C": 6, "F": 4, "R": 3}, large={"Y": 32, "X": 64})
def high_order(x, u, w):
    logits = 0
    for r in range(len(w)):
        power = 1
        for t in range(r + 1):
            power = power * (x @ u[r, t].T)
        logits = logits + power.relu() @ w[r].T
    return logits.sigmoid() * x


@row(
    "han_layer_attention_channel_spatial_atte",
    sizes={"B": 1, "H": 3, "C": 3},
    parameters={"rows": 3, "cols": 5},
    draws={"f": small},
    large={"H": 10, "rows": 32, "cols": 64},
)
def han(f, w, alpha, beta, rows, cols):
    flat = f.flatten(2)
    layers = f + alpha * ((flat @ flat.mT).softmax(-1) @ flat).view_as(f)
    last = f[:, -1]
    cube = last.mT.unflatten(2, (rows, cols))[:, None]
    gate = functional.conv3d(cube, w[None, None], padding=1)[:, 0].flatten(2).mT.sigmoid()
    return layers, last + beta * gate * last


@row("medusa_dual_attention", sizes={"C": 4}, parameters={"scales": 3})
def medusa(f, w1, w2, scales):
    tasks = []
    for mask, mix in zip(w1, w2):
        masked = torch.einsum("scd,bnsd->bnsc", mask, f).sigmoid() * f
        p = torch.einsum("stc,bntc->bns", mix, masked).softmax(-1)
        tasks.append((p[..., None] * masked).sum(2))
    return torch.stack(tasks, 1)


@row(
    "attention_debiasing_for_vlm_token_prunin",
    parameters={"keep": 3},
    draws={
        "scale": positive,
        "rate": small,
        "padding": lambda random, shape: torch.rand(shape, generator=random) < 0.2,
    },
)
def debiasing(q, k, text, visual, padding, scale, rate, keep):
    n = torch.arange(q.shape[2])
    p = softmax(scores(q, k), causal(len(n)))
    received = (p * text[:, None, :, None]).sum(2).mean(1) / text.sum(1, keepdim=True)
    debiased = torch.where(padding, 0, received / (scale * torch.exp(rate * n)))
    largest = debiased.masked_fill(~visual, -torch.inf).topk(keep).indices
    kept = torch.zeros_like(visual).scatter(1, largest, True)
    return torch.where(visual, debiased, 0), kept


@row("lama", sizes={"C": 7, "K": 5, "R": 3}, draws={"length": below(20)})
def lama(x, context, u, w, heads, length):
    s = torch.tanh((x @ u.T) * (w @ context)) @ heads.T
    p = softmax(s.mT, (torch.arange(x.shape[1]) < length[:, None])[:, None])
    pooled = p @ x
    norm = pooled.norm(dim=-1, keepdim=True)
    return pooled / torch.where(norm > 0, norm, 1), p


@row("latte_flow_timestep_conditioned_residual", sizes={"T": 5})
def latte(q, k, v, earlier, time, w):
    s = scores(q, k) + torch.tanh(time @ w.T)[:, :, None, None] * earlier
    return attend(s.softmax(-1), v), s


def lexicon_pooled(x, f, w, b, u, valid):
    return softmax((torch.tanh(f @ w.T + b) @ u.T).mT, valid[:, None]) @ x


@row("lexicon_conditioned_self_attention", "concatenated", sizes={"C": 5, "K": 3, "F": 7})
def lexicon_concatenated(x, lexicon, w, b, u, valid):
    return lexicon_pooled(x, torch.cat((x, lexicon), -1), w, b, u, valid)


@row("lexicon_conditioned_self_attention", "gated", sizes={"C": 5, "K": 3, "F": 7})
def lexicon_gated(x, lexicon, wg, bg, w, b, u, valid):
    return lexicon_pooled(x, x * torch.sigmoid(lexicon @ wg.T + bg), w, b, u, valid)


@row("lexicon_conditioned_self_attention", "affine", sizes={"C": 5, "K": 3, "F": 7})
def lexicon_affine(x, lexicon, wa, wb, w, b, u, valid):
    return lexicon_pooled(x, (lexicon @ wa.T) * x + lexicon @ wb.T, w, b, u, valid)


@row("neural_attention", sizes={"R": 3, "F": 7})
def neural_attention(q, k, v, reduce_q, reduce_k, wq, wk, b, w, c):
    small_q, small_k = q @ reduce_q.mT, heads(k, q.shape[1]) @ reduce_k.mT
    H, N, R = small_q.shape[1:]
    both = torch.cat((small_q[:, :, :, None].expand(-1, H, N, N, R), small_k[:, :, None].expand(-1, H, N, N, R)), -1)
    hidden = both @ torch.cat((wq, wk), 1).T + b
    s = functional.gelu(hidden) @ w + c
    return attend(softmax(s, causal(N)), v)


@row("pssattention", sizes={"C": 5, "K": 3}, parameters={"gamma": 0.3})
def pssattention(x, aspect, w, seen, active, misleading, gamma):
    s = torch.tanh(torch.cat((x, aspect[:, None].expand(-1, x.shape[1], -1)), -1) @ w)
    p = softmax(s, seen)
    target = active.to(p.dtype) / (active & seen).sum(1, keepdim=True)
    wrong = torch.where(seen & (active | misleading), (p - target) ** 2, 0)
    return (p[:, None] @ x)[:, 0], p, gamma * wrong.sum(1)
