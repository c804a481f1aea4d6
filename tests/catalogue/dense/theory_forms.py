"""Forms of attention that surveys and theory set side by side: alignments, axes, frequencies, graphs."""

import torch

from ..parts import attend, attention, causal, heads, scores, softmax
from ..rows import fraction, positive, row, small


@row("debiased_gradient_descent_predictor_of_s", "softmax_heads")
def softmax_heads(x, y, xq, w, mu):
    guess = 0
    for h in range(len(w)):
        guess = guess + mu[h] * ((w[h] * xq @ x.mT).softmax(-1) @ y[..., None])[..., 0]
    return guess


@row("debiased_gradient_descent_predictor_of_s", "gradient_step")
def gradient_step(x, y, xq, w, mu):
    slope = torch.einsum("bj,bjd->bd", y - y.mean(-1, keepdim=True), x) / x.shape[1]
    return (mu * w).sum() * torch.einsum("bid,bd->bi", xq, slope)


DEPTHS = "depth_wise_residual_attention_shortswa_d"


@row(DEPTHS, "over_positions")
def over_positions(q, k, v, window):
    n = torch.arange(q.shape[2])
    back = n[:, None] - n
    return attention(q, k, v, (back >= 0) & (back < window))


@row(DEPTHS, "over_layers", sizes={"L": 7, "H": 5}, large={"L": 32, "H": 64})
def over_layers(q, k, v, window):
    return over_positions(*(x.transpose(1, 2) for x in (q, k, v)), window).transpose(1, 2)


@row(DEPTHS, "dense_former", sizes={"L": 5, "C": 3, "H": 7}, large={"L": 32, "H": 64})
def dense_former(alpha, x):
    return torch.einsum("lm,bmnc->blnc", alpha.tril(), x)


@row(DEPTHS, "deep_delta", sizes={"L": 5, "H": 7}, draws={"k": small}, large={"L": 32, "H": 64})
def deep_delta(k, v, x, beta):
    for layer in range(k.shape[1]):
        key = k[:, layer, :, :, None]
        x = x + beta[:, layer, :, None, None] * key @ (v[:, layer, :, None] - key.mT @ x)
    return x


def offsets(random, shape):
    return torch.tensor([[0, 1], [1, 0], [-1, -1], [2, -1]])[torch.arange(shape[0]) % 4]


def at(rows, cols, delta):
    """[H, N, N]: which pixel is at each head's offset from which."""
    n = torch.arange(rows * cols)
    y, x = n // cols, n % cols
    down = y[:, None] + delta[:, 0, None, None] == y
    right = x[:, None] + delta[:, 1, None, None] == x
    return down & right


IMAGE = {"rows": 3, "cols": 7}


@row(
    "offset_local_attention_heads",
    "near_offset",
    parameters={**IMAGE, "sharp": 0.4},
    draws={"delta": offsets},
    large={"rows": 32, "cols": 64},
)
def near_offset(q, k, v, delta, rows, cols, sharp):
    n = torch.arange(rows * cols)
    place = torch.stack((n // cols, n % cols), -1)
    far = (place - place[:, None] - delta[:, None, None]).square().sum(-1).to(q)
    p = (scores(q, k) - sharp * far).softmax(-1)
    return attend(p, v), (p * at(rows, cols, delta)).sum(-1)


@row(
    "offset_local_attention_heads",
    "at_offset",
    parameters=IMAGE,
    draws={"delta": offsets},
    large={"rows": 32, "cols": 64},
)
def at_offset(v, delta, rows, cols):
    return at(rows, cols, delta).to(v) @ heads(v, len(delta))


@row("positional_heads_per_dimension_rope_cont", sizes={"D": 6, "R": 3}, draws={"theta": fraction})
def by_frequency(q, k, v, theta, keep):
    N, R = q.shape[2], len(theta)
    k = heads(k, q.shape[1])
    turn = torch.polar(torch.ones_like(theta), theta) ** (torch.arange(N)[:, None] - torch.arange(N))[..., None]
    pairs = torch.complex(q[..., :R], q[..., R:])[:, :, :, None] * torch.complex(k[..., :R], -k[..., R:])[:, :, None]
    parts = keep[:, None, None] * (pairs * turn).real / (2 * R) ** 0.5
    p = softmax(parts.sum(-1), causal(N).expand(*q.shape[:2], N, N))
    return attend(p, v), (p[..., None] * parts).sum(-2)


@row("attention_taxonomy", "products", parameters={"align": "cosine"})
def products(q, k, v, align):
    k = heads(k, q.shape[1])

    def phi(x):
        return torch.nn.functional.elu(x) + 1

    match align:
        case "cosine":
            s = torch.nn.functional.cosine_similarity(q[:, :, :, None], k[:, :, None], -1, 0)
        case "kernel":
            s = phi(q) @ phi(k).mT
        case _:
            s = q @ k.mT / (q.shape[-1] ** 0.5 if align == "scaled" else 1)
    return attend(s.softmax(-1), v)


@row("attention_taxonomy", "learned", sizes={"A": 5}, parameters={"align": "additive"})
def learned(q, k, v, W, W1, W2, b, b1, w, c, align):
    k = heads(k, q.shape[1])
    M, N = q.shape[2], k.shape[2]
    match align:
        case "general":
            s = (q @ W.mT) @ k.mT
        case "biased":
            s = (q @ W.mT + b) @ k.mT
        case "activated":
            s = torch.tanh(q @ W.mT @ k.mT + c)
        case "concat":
            both = torch.cat((q[:, :, :, None].expand(-1, -1, -1, N, -1), k[:, :, None].expand(-1, -1, M, -1, -1)), -1)
            s = torch.tanh(both @ torch.cat((W1, W2), -1).mT) @ w
        case _:
            s = torch.tanh((q @ W1.mT)[:, :, :, None] + (k @ W2.mT)[:, :, None] + b1) @ w
    return attend(s.softmax(-1), v)


@row("attention_taxonomy", "location")
def location(q, v, place):
    return attend((q @ place.mT).softmax(-1), v)


@row("attention_taxonomy", "feature", sizes={"A": 5})
def feature(k, v, W, w):
    hidden = torch.tanh(heads(k, len(w)) @ W.mT)
    p = (hidden * w[:, None]).sum(-1).softmax(-1)
    return (p[..., None] * heads(v, len(w))).sum(2)


@row("attention_taxonomy", "distributed", parameters={"weights": "sparsemax"})
def distributed(q, k, v, weights):
    normalize = {"softmax": lambda s: s.softmax(-1), "sparsemax": sparsemax, "sigmoid": torch.sigmoid}
    return attend(normalize[weights](scores(q, k)), v)


def sparsemax(s):
    z = s.sort(-1, descending=True).values
    above = z.cumsum(-1) - 1
    count = torch.arange(1, s.shape[-1] + 1)
    size = (count * z > above).sum(-1, keepdim=True)
    return torch.relu(s - above.gather(-1, size - 1) / size)


@row("attention_taxonomy", "local")
def local(q, k, v, W, w, deviation):
    N = k.shape[2]
    centre = (N - 1) * torch.sigmoid(torch.tanh(q @ W.mT) @ w)
    near = torch.exp(-((torch.arange(N) - centre[..., None]) ** 2) / (2 * deviation**2))
    return attend(scores(q, k).softmax(-1) * near, v)


@row("attention_taxonomy", "hard", draws={"u": fraction})
def hard(q, k, v, u):
    best = (scores(q, k) - torch.log(-torch.log(u))).argmax(-1)
    return attend(torch.nn.functional.one_hot(best, k.shape[2]).to(v), v)


@row("attention_taxonomy", "multi_dimensional")
def multi_dimensional(q, k, v, W, W1, W2):
    k, v = heads(k, q.shape[1]), heads(v, q.shape[1])
    s = torch.tanh((q @ W1.mT)[:, :, :, None] + (k @ W2.mT)[:, :, None]) @ W.mT
    return (s.softmax(-2) * v[:, :, None]).sum(-2)


@row("attention_taxonomy", "co")
def co(q, k, v, W, x):
    s = torch.tanh(q @ W @ heads(k, q.shape[1]).mT)
    return attend(s.softmax(-1), v), s.softmax(-2).mT @ x


def sentences(random, shape):
    """Three sentences in each text, of other lengths in each."""
    ends = shape[-1] // torch.arange(2, 2 + shape[0])[:, None]
    n = torch.arange(shape[-1])
    return (n >= ends // 2).long() + (n >= ends)


@row("attention_taxonomy", "multi_level", draws={"id": sentences})
def multi_level(k, v, word, sentence, id):
    k, v = heads(k, len(word)), heads(v, len(word))
    out = []
    for b in range(len(id)):
        parts = [id[b] == c for c in range(int(id[b].max()) + 1)]
        level = [((k[b, :, n] @ word[..., None]).softmax(1) * v[b, :, n]).sum(1) for n in parts]
        level = torch.stack(level, 1)
        out.append(((level @ sentence[..., None]).softmax(1) * level).sum(1))
    return torch.stack(out)


@row("subgraph_matching_design_space", "cross_graph", sizes={"C": 5})
def cross_graph(x, y):
    gathered = (x @ y.mT).softmax(-1) @ y
    return gathered, x - gathered


@row("subgraph_matching_design_space", "soft_permutation", sizes={"C": 5}, draws={"x": positive})
def soft_permutation(x, y, rounds, tau):
    p = torch.exp(x @ y.mT / tau)
    for _ in range(rounds):
        p = p / p.sum(-1, keepdim=True)
        p = p / p.sum(-2, keepdim=True)
    return p @ y, p, -torch.relu(x - p @ y).sum((-2, -1))
