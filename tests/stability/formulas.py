"""The prelude's normalizations as dense formulas in torch, written from their definitions and for any dtype.

Each takes scores `s[..., M, N]` and which pairs exist, and gives weights; what does not exist weighs 0 and has no
derivative. Divisors and radicands that are exactly 0 are taken out before they are used, so that no order of
derivative meets a NaN.
"""

import math

import torch
from torch.utils._python_dispatch import _disable_current_modes

CLIP = (-0.1, 1.1)
ALPHA = 1.3


def present(x, there):
    return torch.where(there, x, torch.zeros_like(x))


def total(x):
    return x.sum(-1, keepdim=True)


def quotient(x, y):
    """x / y; 0 where y is, derivatives too."""
    empty = y == 0
    return torch.where(empty, torch.zeros_like(x * y), x / torch.where(empty, torch.ones_like(y), y))


def power(x, exponent):
    """x ** exponent for x >= 0; 0 where x is, derivatives too."""
    empty = x == 0
    return torch.where(empty, torch.zeros_like(x), torch.where(empty, torch.ones_like(x), x) ** exponent)


def counted(there, s):
    return total(there.to(s.dtype))


def largest(s, there, least=None):
    """The maximum of a row, at least `least`; 0 where that is not finite, and a constant for derivatives."""
    m = torch.where(there, s, torch.full_like(s, -math.inf)).detach().amax(-1, keepdim=True)
    m = m if least is None else m.clamp(min=least)
    return torch.where(m.isfinite(), m, torch.zeros_like(m))


def exponentials(s, there, m, exp=torch.exp):
    return present(exp(torch.where(there, s, m) - m), there)


def softmax(s, there, exp=torch.exp):
    e = exponentials(s, there, largest(s, there), exp)
    return quotient(e, total(e))


def softmax1(s, there):
    return sink_softmax(s, there, torch.zeros((), dtype=s.dtype))


def sink_softmax(s, there, z):
    m = largest(s, there, float(z.detach()))
    e = exponentials(s, there, m)
    return e / ((z - m).exp() + total(e))


def logsumexp(s, there):
    """-inf for a row of nothing, without derivatives."""
    m = largest(s, there)
    weight = total(exponentials(s, there, m))
    empty = weight == 0
    found = m + torch.where(empty, torch.ones_like(weight), weight).log()
    return torch.where(empty, torch.full_like(found, -math.inf), found).squeeze(-1)


def log_softmax(s, there):
    lse = logsumexp(s, there).unsqueeze(-1)
    return present(s - torch.where(lse.isfinite(), lse, torch.zeros_like(lse)), there)


def clipped_softmax(s, there):
    low, high = CLIP
    return present(((high - low) * softmax(s, there) + low).clamp(0, 1), there)


def weighted_softmax(s, there, w):
    e = w * exponentials(s, there, largest(s, there))
    return quotient(e, total(e))


def signed_softmax(s, there):
    return s.sign() * softmax(s.abs(), there)


def l1(s, there):
    s = present(s, there)
    return quotient(s, total(s.abs()))


def l2(s, there):
    s = present(s, there)
    return quotient(s, power(total(s * s), 0.5))


def pnorm(s, there):
    s = present(s, there)
    return quotient(s, power(total(s.abs() ** 3), 1 / 3))


def centred(s, there):
    s = present(s, there)
    return present(s - quotient(total(s), counted(there, s)), there)


def variance(s, there):
    return quotient(total(centred(s, there) ** 2), counted(there, s))


def standardize(s, there):
    return quotient(centred(s, there), power(variance(s, there), 0.5))


def power_softmax(s, there):
    w = present(s.abs() ** 3, there)
    return quotient(w, total(w))


def taylor_softmax(s, there):
    w = present(1 + s + s * s / 2, there)
    return quotient(w, total(w))


def subtractive(s, there):
    n = counted(there, s)
    return present(centred(s, there) + quotient(torch.ones_like(n), n), there)


def sorted_rows(s, there):
    """Scores of a row from the largest down, how many are counted up to each, and which of them exist."""
    ordered = torch.where(there, s, torch.full_like(s, -math.inf)).sort(-1, descending=True).values
    known = ordered.isfinite()
    return present(ordered, known), torch.arange(1, s.shape[-1] + 1).to(s.dtype).expand(s.shape), known


def sparsemax(s, there):
    """Martins and Astudillo (2016): the support is the longest beginning whose own threshold is below its last. About
    the largest score, as the authors of the entmax package compute it."""
    s = s - largest(s, there)
    ordered, n, known = sorted_rows(s, there)
    sums = ordered.cumsum(-1)
    support = (known & (1 + n * ordered > sums)).sum(-1, keepdim=True).clamp(min=1)
    t = (sums.gather(-1, support - 1) - 1) / support.to(s.dtype)
    return present(torch.relu(torch.where(there, s, t) - t), there)


def entmax15(s, there):
    """Peters, Niculae and Martins (2019), likewise, about the largest score: the threshold has a square root."""
    z = (s - largest(s, there)) / 2
    ordered, n, known = sorted_rows(z, there)
    mean = ordered.cumsum(-1) / n
    gap = (1 - ((ordered**2).cumsum(-1) - n * mean**2)) / n
    threshold = mean - power(gap.clamp(min=0), 0.5)
    support = (known & (gap >= 0) & (threshold <= ordered)).sum(-1, keepdim=True).clamp(min=1)
    t = threshold.gather(-1, support - 1)
    return present(torch.relu(torch.where(there, z, t) - t) ** 2, there)


def entmax(s, there):
    """By halving the interval about the threshold, then by two of Newton's steps, which carry the derivatives."""
    power_of = 1 / (ALPHA - 1)
    z = (ALPHA - 1) * (s - largest(s, there))
    z = torch.where(there & z.isfinite(), z, torch.full_like(z, -2.0))

    def weights(t):
        return present(torch.relu(z - t) ** power_of, there)

    with torch.no_grad(), _disable_current_modes():
        low, high = torch.full_like(z[..., :1], -1.0), torch.zeros_like(z[..., :1])
        for _ in range(60):
            middle = (low + high) / 2
            is_high = total(weights(middle)) < 1
            low, high = torch.where(is_high, low, middle), torch.where(is_high, middle, high)
    t = low
    for _ in range(2):
        slope = power_of * total(present(torch.relu(z - t) ** (power_of - 1), there))
        t = t + quotient(total(weights(t)) - 1, slope)
    return weights(t)


def pointwise(function):
    """Weights without a sum."""
    return lambda s, there: present(function(s), there)


def laplace(s):
    return 0.5 + 0.5 * torch.erf((s - 0.5**0.5) * math.sqrt(2 * math.pi))


FORMULAS = {
    "softmax[j](s)": softmax,
    "softmax1[j](s)": softmax1,
    "sink_softmax[j](s, z)": sink_softmax,
    "softmax2[j](s)": lambda s, there: softmax(s, there, torch.exp2),
    "log_softmax[j](s)": log_softmax,
    f"clipped_softmax[j](s, {CLIP[0]}, {CLIP[1]})": clipped_softmax,
    "weighted_softmax[j](s, w[j])": weighted_softmax,
    "signed_softmax[j](s)": signed_softmax,
    "l1[j](s)": l1,
    "l2[j](s)": l2,
    "pnorm[j](s, 3)": pnorm,
    "standardize[j](s)": standardize,
    "power_softmax[j](s, 3)": power_softmax,
    "taylor_softmax[j](s)": taylor_softmax,
    "subtractive[j](s)": subtractive,
    "sparsemax[j](s)": sparsemax,
    "entmax15[j](s)": entmax15,
    f"entmax[j](s, {ALPHA})": entmax,
    "sigmoid(s)": pointwise(torch.sigmoid),
    "squared_relu(s)": pointwise(lambda s: s.relu() ** 2),
    "hard_sigmoid(s)": pointwise(lambda s: (s / 6 + 0.5).clamp(0, 1)),
    "tanh(s)": pointwise(torch.tanh),
    "gelu(s)": pointwise(torch.nn.functional.gelu),
    "softplus(s)": pointwise(torch.nn.functional.softplus),
    "laplace(s)": pointwise(laplace),
}
