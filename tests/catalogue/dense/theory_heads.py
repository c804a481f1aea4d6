"""What heads do and what they are worth: gates, ranks, retrieval, probes."""

import torch

from ..parts import attend, attention, causal, heads, scores, softmax
from ..rows import below, fraction, row


@row("attention_vs_post_hoc_explanations", "classifier", sizes={"C": 5})
def classifier(q, wk, wv, w, x):
    k, v = torch.einsum("hdc,bjc->bhjd", wk, x), torch.einsum("hec,bjc->bhje", wv, x)
    p = (torch.einsum("hd,bhjd->bhj", q, k) / q.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("he,bhj,bhje->b", w, p, v) / q.shape[0], p


@row("attention_vs_post_hoc_explanations", "explanation", sizes={"C": 5})
def explanation(q, wk, wv, w, x):
    def f(x):
        return classifier(q, wk, wv, w, x)[0].sum()

    return torch.autograd.grad(f(x), x, create_graph=True)[0] if x.requires_grad else torch.func.grad(f)(x)


@row("attentioninfluence", draws={"masked": lambda random, shape: torch.arange(shape[0]) % 3 == 1})
def influence(q, k, v, masked):
    seen = causal(q.shape[2])
    even = seen.to(q) / seen.sum(-1, keepdim=True)
    p = softmax(scores(q, k), seen.expand(q.shape[0], q.shape[1], *seen.shape))
    return attend(p, v), attend(torch.where(masked[:, None, None], even, p), v)


def nearest(q, x):
    far = (q[..., :, None, :] - x[..., None, :, :]).square().sum(-1)
    best = far.argmin(-1)[..., None].expand(*q.shape)
    return x.gather(-2, best)


@row("full_rank_head_rule", "full_rank", parameters={"beta": 0.3})
def full_rank(q, x, W, beta):
    p = (beta * q @ W @ x.mT).softmax(-1)
    return p @ x, nearest(q, x)


@row("full_rank_head_rule", "low_rank", sizes={"R": 3}, parameters={"beta": 0.3})
def low_rank(q, x, A, C, wo, beta):
    s = beta * torch.einsum("hrd,bid,hrc,bjc->bhij", A, q, C, x)
    return torch.einsum("hcd,bhij,bjd->bic", wo, s.softmax(-1), x)


@row("head_masking_head_pruning", sizes={"C": 5})
def pruning(q, k, v, xi, wo, g):
    o = torch.einsum("hce,bhie->bhic", wo, attention(q, k, v))
    slope = torch.einsum("bhic,bic->bh", o, g)
    return torch.einsum("h,bhic->bic", xi, o), slope.abs().mean(0).expand(len(g), -1)


@row("low_rank_bottleneck_fixed_head_size_mult", sizes={"C": 5, "P": 7})
def fixed_head_size(x, wq, wk, wv, wo):
    q, k, v = (torch.einsum("hpc,bic->bhip", w, x) for w in (wq, wk, wv))
    p = scores(q, k).softmax(-1)
    return torch.einsum("hcp,bhip->bic", wo, p @ v), p


@row("random_feature_attention_single_layer")
def random_features(q, x, W, w):
    f = 0
    for m in range(W.shape[0]):
        s = torch.relu(q @ W[m] @ x.mT)
        f = f + (s * (x @ w[m])[:, None]).sum(-1) / x.shape[1]
    return f


@row("retrieval_heads", sizes={"M": 13, "N": 19}, draws={"token": below(3), "made": below(3)})
def retrieval(q, k, v, xi, token, made, needle):
    H, M, N = q.shape[1], q.shape[2], k.shape[2]
    seen = torch.arange(N) <= torch.arange(M)[:, None] + N - M
    s = scores(q, k)
    p = softmax(s, seen.expand_as(s))
    best = p.argmax(-1)
    copied = torch.empty_like(best)
    for b in range(len(best)):
        copied[b] = needle[b][best[b]] & (token[b][best[b]] == made[b])
    return xi[:, None, None] * attend(p, v), copied.sum(-1).to(q) / needle.sum(-1, keepdim=True).expand(-1, H)


@row("stacked_heads_on_the_retrieval_problem", sizes={"C": 5})
def two_layers(x, wq, wk, wv):
    for Wq, Wk, Wv in zip(wq, wk, wv):
        x = x + attention((x @ Wq.mT)[:, None], (x @ Wk.mT)[:, None], (x @ Wv.mT)[:, None], causal(x.shape[1]))[:, 0]
    return x


@row("survey")
def ablation(q, k, v, xi):
    s = scores(q, k)
    p = softmax(s, causal(s.shape[-1]).expand_as(s))
    return torch.einsum("h,bhij,bhje->bie", xi, p, heads(v, q.shape[1])), p


@row("survey_naming_bahdanau_attention_and_poi", "bahdanau", sizes={"C": 5, "F": 7, "A": 4})
def bahdanau(x, y, W, U, w):
    return pointer(x, y, W, U, w) @ y


@row("survey_naming_bahdanau_attention_and_poi", "pointer", sizes={"C": 5, "F": 7, "A": 4})
def pointer(x, y, W, U, w):
    hidden = torch.tanh((x @ W.mT)[:, :, None] + (y @ U.mT)[:, None])
    return (hidden @ w).softmax(-1)


@row("transformers_as_svms", "direct", parameters={"scale": 0.4})
def direct(x, W, scale):
    s = torch.einsum("bic,hcd,bjd->bhij", x, W, x)
    p = (scale * s).softmax(-1)
    hard = torch.stack([x[b][s[b].argmax(-1)] for b in range(len(x))])
    return p @ x[:, None], p, hard


@row("transformers_as_svms", "factored", sizes={"R": 3}, parameters={"scale": 0.4})
def factored(x, K, Q, scale):
    return direct(x, K @ Q.mT, scale)


@row("attention_only_probe", "attention_only", sizes={"K": 5}, draws={"a": fraction}, large={"N": 256})
def attention_only(a, w, u):
    s = sum(w[n] * a[:, n] + u[n] * a[:, n].mT for n in range(len(w)))
    return s.softmax(-2)


@row("attention_only_probe", "with_words", sizes={"K": 5, "C": 3}, draws={"a": fraction}, large={"N": 256})
def with_words(a, x, w, w2, u, u2):
    down = (x @ w.mT)[:, :, None] + (x @ w2.mT)[:, None]
    up = (x @ u.mT)[:, :, None] + (x @ u2.mT)[:, None]
    s = (down * a.permute(0, 2, 3, 1) + up * a.permute(0, 3, 2, 1)).sum(-1)
    return s.softmax(-2)


@row("learnable_task_vector")
def task_vector(q, k, v, phi, x):
    p = (torch.einsum("bhd,bhjd->bhj", q[:, :, -1], k) / q.shape[-1] ** 0.5).softmax(-1)
    t = torch.einsum("h,bhj,bhje->be", phi, p, v)
    return t, x + t[:, None]


@row("sparse_attention_decomposition", sizes={"C": 5, "R": 6}, large={"N": 256})
def channels(x, U, V, sigma, share):
    parts = torch.einsum("hr,bic,hrc,hrd,bjd->bhijr", sigma, x, U, V, x)
    s = parts.sum(-1)
    p = softmax(s, causal(s.shape[-1]).expand_as(s))
    largest, order = parts.sort(-1, descending=True)
    reached = torch.cat((torch.zeros_like(largest[..., :1]), largest.relu().cumsum(-1)[..., :-1]), -1)
    kept = torch.zeros_like(parts, dtype=torch.bool).scatter(-1, order, reached < share * s[..., None])
    return p, kept.sum(-1), (p * kept.sum(-1)).sum(-1)
