"""Linear attention and weights that are no softmax."""

import torch

from ..parts import attend, causal, heads, rotate, scores, softmax
from ..rows import positive, row, small


def divided(p):
    """Rows divided by their sums."""
    return p / p.sum(-1, keepdim=True)


def cubes(x, power):
    """The elementwise power of what is positive, with the norm that it had before."""
    r = x.clamp(min=0)
    return r.norm(dim=-1, keepdim=True) / (r**power).norm(dim=-1, keepdim=True) * r**power


def standard(x):
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, correction=0, keepdim=True)


@row("top_theta_attention", sizes={"H": 4, "N": 17}, draws={"gamma": positive})
def top_theta(q, k, v, theta, gamma):
    s, N = scores(q, k), q.shape[2]
    seen = causal(N) & (s >= theta[:, :, None])
    top = s.masked_fill(~seen, -torch.inf).amax(-1, keepdim=True)
    e = torch.where(seen, (s - torch.where(top > -torch.inf, top, 0)).exp(), 0)
    p = e / (e.sum(-1, keepdim=True) + gamma[..., None])
    mean = heads(v, q.shape[1]).cumsum(2) / torch.arange(1, N + 1)[:, None]
    return attend(p, v) + (1 - p.sum(-1, keepdim=True)) * mean


@row("fast_fastmax", parameters={"causal": True}, sizes={"N": 17})
def fastmax(q, k, v, causal):
    x, y = standard(q), heads(standard(k), q.shape[1])
    f = sum((x @ y.mT) ** n / (1, 1, 2)[n] for n in range(3))
    return attend(divided(f.tril() if causal else f), v)


@row(
    "flatten_focused_linear_attention",
    parameters={"rows": 3, "cols": 7},
    large={"rows": 32, "cols": 64},
    draws={"w": small},
)
def flatten(q, k, v, w, rows, cols, power):
    H = q.shape[1]
    x, y, v = cubes(q, power), heads(cubes(k, power), H), heads(v, H)
    state, total = torch.einsum("bhjd,bhje->bhde", y, v), y.sum(2)
    mixed = x @ state / torch.einsum("bhid,bhd->bhi", x, total)[..., None]
    image = v.mT.reshape(v.shape[0], -1, rows, cols)
    kernel = w.permute(0, 3, 1, 2).reshape(-1, 1, 5, 5)
    local = torch.nn.functional.conv2d(image, kernel, padding=2, groups=image.shape[1])
    return mixed + local.reshape(v.shape[0], H, -1, rows * cols).mT


@row("hedgehog", sizes={"F": 5, "N": 15}, draws={"w": small})
def hedgehog(q, k, v, w, c):
    def features(x):
        y = torch.einsum("hfd,bhnd->bhnf", w, x) + c[:, None]
        return torch.cat((y.exp(), (-y).exp()), -1)

    N, H = q.shape[2], q.shape[1]
    p = divided((features(q) @ features(heads(k, H)).mT).tril())
    seen = causal(N).expand_as(p)
    wanted = softmax(scores(q, k), seen)
    loss = -(wanted * torch.where(seen, p, 1).log()).sum(-1)
    return attend(p, v), loss


@row("nalaformer_norm_aware_linear_attention", sizes={"N": 18}, draws={"w": small})
def nalaformer(q, k, v, w, g, lam):
    H, N = q.shape[1], q.shape[2]
    length = q.norm(dim=-1, keepdim=True)
    power = lam * (0.5 + length.tanh())
    x = torch.cat(((q.relu() / length) ** power, ((-q).relu() / length) ** power), -1)
    y = heads(torch.cat(((k**3).relu(), (-(k**3)).relu()), -1), H)
    v, place = heads(v, H), torch.arange(N)
    mixed = rotate(x, place) @ (rotate(y, place).mT @ v) / (x @ y.sum(2)[..., None])
    padded = torch.nn.functional.pad(v, (0, 0, 1, 1))
    local = sum(w[:, t, None] * padded[:, :, t : t + N] for t in range(3))
    return standard(mixed + local) * torch.nn.functional.silu(g)


@row("comateformer_combined_attention", draws={"q": small, "k": small})
def comateformer(q, k, v):
    near = -(q[:, :, :, None] - heads(k, q.shape[1])[:, :, None]).abs().sum(-1)
    return attend(scores(q, k).tanh() * near.sigmoid(), v)


def straight(hard, soft):
    return hard + soft - soft.detach()


def binary(x):
    return straight(x.detach().sign(), x.clamp(-1, 1))


@row("bibert_bi_attention")
def bibert(q, k, v):
    k, D = heads(k, q.shape[1]), q.shape[-1]
    agree = (q[:, :, :, None].sign() == k[:, :, None].sign()).sum(-1)
    s = binary(q) @ binary(k).mT / D**0.5
    return attend(straight((2 * agree >= D).to(s.dtype), s.clamp(-1, 1) / 2), binary(v))


def times(random, shape):
    return (0.05 + torch.rand(shape, generator=random)).cumsum(-1)


ADAPTIVE = {"t": times} | dict.fromkeys(("a", "process", "start", "noise", "nu"), positive)


@row("afa", sizes={"R": 3, "N": 14}, draws=ADAPTIVE, large={"R": 32})
def adaptive_filter(q, k, v, t, omega, a, process, start, noise, nu):
    k, v = (torch.complex(*heads(x, q.shape[1]).chunk(2, -1)) for x in (k, v))
    dt = (t[:, :, None] - t[:, None, :])[:, None].clamp(min=0)
    a, process, start, noise, nu = (x[:, None, None] for x in (a, process, start, noise, nu))
    fade = torch.exp(-a * dt)
    moved = fade[..., None] * torch.exp(1j * dt[..., None] * omega[:, None, None])
    missed = torch.complex(*q.chunk(2, -1))[:, :, :, None] - moved * k[:, :, None]
    var = process**2 * (1 - fade**2) / (2 * a) + fade**2 * start**2 + noise**2
    p = divided(((1 / var) / (1 + missed.abs().square().sum(-1) / (nu * var))).tril())
    out = (p[..., None] * moved * v[:, :, None]).sum(3)
    return torch.cat((out.real, out.imag), -1)
