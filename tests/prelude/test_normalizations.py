"""Every normalization of the prelude through kernels: results, gradients and second derivatives against its formula in
plain torch, and in low precision against its own meaning."""

import math

import pytest
import torch
from torch.autograd import grad

import attnc

N = 7


def masked(function):
    """The formula on each row's own keys; nothing elsewhere."""

    def weights(s):
        rows = [[function(row[: i + 1]) for i, row in enumerate(head)] for head in s.flatten(0, 1)]
        padded = [torch.stack([torch.nn.functional.pad(r, (0, N - len(r))) for r in head]) for head in rows]
        return torch.stack(padded).reshape(s.shape)

    return weights


def threshold(s, count):
    """What sparsemax subtracts: from the sorted scores, by the largest support that its own mean allows."""
    ordered = s.sort(descending=True).values
    top = ordered.cumsum(0)
    support = sum(1 for n in range(len(s)) if 1 + (n + 1) * ordered[n] > top[n])
    return (top[support - 1] - count) / support


def entmax15(s):
    """Peters, Niculae and Martins (2019), exactly: the largest support whose threshold is below its least."""
    z = (s / 2).sort(descending=True).values
    for n in range(len(z), 0, -1):
        mean, square = z[:n].mean(), (z[:n] ** 2).mean()
        gap = (1 - n * (square - mean**2)) / n
        if gap >= 0 and mean - gap.sqrt() <= z[n - 1]:
            return torch.relu(s / 2 - (mean - gap.sqrt())) ** 2
    raise AssertionError


FORMULAS = {
    "softmax[j](s)": lambda s: s.softmax(-1),
    "softmax2[j](s)": lambda s: (s * math.log(2)).softmax(-1),
    "log_softmax[j](s)": lambda s: s.log_softmax(-1),
    "clipped_softmax[j](s, -0.1, 1.1)": lambda s: (1.2 * s.softmax(-1) - 0.1).clamp(0, 1),
    "softmax1[j](s)": lambda s: torch.nn.functional.pad(s, (0, 1)).softmax(-1)[..., :-1],
    "sink_softmax[j](s, 0.3)": lambda s: torch.nn.functional.pad(s, (0, 1), value=0.3).softmax(-1)[..., :-1],
    "weighted_softmax[j](s, sigmoid(s))": lambda s: s.sigmoid() * s.exp() / (s.sigmoid() * s.exp()).sum(),
    "signed_softmax[j](s)": lambda s: s.sign() * s.abs().softmax(-1),
    "l1[j](s)": lambda s: torch.nn.functional.normalize(s, p=1, dim=-1),
    "l2[j](s)": lambda s: torch.nn.functional.normalize(s, p=2, dim=-1),
    "pnorm[j](s, 3)": lambda s: torch.nn.functional.normalize(s, p=3, dim=-1),
    "power_softmax[j](s, 3)": lambda s: s.abs() ** 3 / (s.abs() ** 3).sum(),
    "taylor_softmax[j](s)": lambda s: (1 + s + s**2 / 2) / (1 + s + s**2 / 2).sum(),
    "subtractive[j](s)": lambda s: s - s.mean() + 1 / len(s),
    "sparsemax[j](s)": lambda s: torch.relu(s - threshold(s, 1)),
    "entmax15[j](s)": entmax15,
    "entmax[j](s, 1.5)": entmax15,
    "entmax[j](s, 2)": lambda s: torch.relu(s - threshold(s, 1)),
    "hard_sigmoid(s)": lambda s: (s / 6 + 0.5).clamp(0, 1),
    "squared_relu(s)": lambda s: s.relu() ** 2,
    "laplace(s)": lambda s: torch.special.ndtr((s - 0.5**0.5) * math.sqrt(4 * math.pi)),
    "sigmoid(s)": torch.sigmoid,
    "gelu(s)": torch.nn.functional.gelu,
    "softplus(s)": torch.nn.functional.softplus,
    "softmax[j](s / 0.3)": lambda s: (s / 0.3).softmax(-1),
}


def attention(name):
    return attnc.loads(f"attention a axis i, j: N mask j <= i normalize p = {name}")


def draw(dtype=torch.float64, scale=1.5):
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, N, 4, dtype=dtype) for _ in range(3))
    return [(scale * q).requires_grad_(), k.requires_grad_(), v.requires_grad_()]


def derivatives(call, given):
    """The result, its gradients for a cotangent, and those of a function of the gradients."""
    out = call(*given)
    first = grad(
        out, given, torch.cos(torch.arange(out.numel(), dtype=out.dtype)).reshape(out.shape), create_graph=True
    )
    second = grad(sum((g * g.detach().cos()).sum() for g in first), given, allow_unused=True)
    return [out, *first, *(torch.zeros_like(t) if g is None else g for t, g in zip(given, second))]


@pytest.mark.parametrize("name", FORMULAS)
def test_results_and_derivatives(name):
    given = draw()
    weights = masked(FORMULAS[name])
    found = derivatives(attention(name), given)
    wanted = derivatives(lambda q, k, v: weights(q @ k.mT / 2) @ v, given)
    for a, b in zip(found, wanted):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-9 * float(b.detach().abs().max()) + 1e-12), (a - b).abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["sparsemax[j](s)", "entmax15[j](s)", "entmax[j](s, 1.3)", "standardize[j](s)"])
def test_in_low_precision(name, dtype):
    attnc.verify(attention(name), *draw(dtype))
