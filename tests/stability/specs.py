"""One spec for each normalization, with scores that a test can set exactly, and draws of its inputs."""

from contextlib import nullcontext
from functools import cache

import torch
from torch.utils._python_dispatch import _disable_current_modes

import attnc

from .formulas import FORMULAS

SIZES = {"B": 1, "H": 2, "G": 1, "M": 5, "N": 9, "D": 4, "E": 3}
MORE = {"sink_softmax": "z: float", "weighted_softmax": "w[N]"}


def name_of(normalization):
    return normalization.partition("[")[0].partition("(")[0]


BY_NAME = {name_of(text): text for text in FORMULAS}
FORMULA_OF = {name_of(text): formula for text, formula in FORMULAS.items()}


@cache
def attention(name):
    """Scores are a product and a bias, over a temperature that is learned and one that is a parameter; behind these a
    second bias, which may be infinite."""
    more = ", " + MORE[name] if name in MORE else ""
    return attnc.loads(
        f"attention a(temperature: float = 1.0) "
        f"input bias[H, M, N], wall[H, M, N], there[M, N]: bool, tau: float{more} "
        f"score s = (q[i] @ k[j] + bias[i, j]) / (tau * temperature) + wall[i, j] "
        f"mask there[i, j] normalize p = {BY_NAME[name]}"
    )


def call_of(name, temperature=1.0):
    return lambda **tensors: attention(name)(**tensors, temperature=temperature)


def dense(name, temperature=1.0, exact=True):
    """The same call by the dense formula. Where scores are `exact`, `Noise` does not move them."""

    def scores(q, k, bias, wall, tau):
        return (q @ k.repeat_interleave(q.shape[1] // k.shape[1], 1).mT + bias) / (tau * temperature) + wall

    def call(q, k, v, bias, wall, there, tau, **more):
        with _disable_current_modes() if exact else nullcontext():
            s = scores(q, k, bias, wall, tau)
        return FORMULA_OF[name](s, there, *more.values()) @ v.repeat_interleave(q.shape[1] // k.shape[1], 1)

    return call


def draw(name, seed=0, dtype=torch.float32, tau=1.0, **sizes):
    """Scores are the bias alone, in steps of 1 / 256 so that adding up to 2 ** 15 is exact in float32."""
    random = torch.Generator().manual_seed(seed)
    size = {**SIZES, **sizes}

    def normal(*names):
        return torch.randn([size[n] for n in names], generator=random)

    inputs = {
        "q": torch.zeros(size["B"], size["H"], size["M"], size["D"]),
        "k": normal("B", "G", "N", "D"),
        "v": normal("B", "G", "N", "E"),
        "bias": (normal("H", "M", "N") * 256).round() / 256,
        "wall": torch.zeros(size["H"], size["M"], size["N"]),
        "there": torch.rand((size["M"], size["N"]), generator=random) < 0.8,
        "tau": torch.tensor(float(tau)),
    }
    if name == "sink_softmax":
        inputs["z"] = torch.tensor(0.25)
    if name == "weighted_softmax":
        inputs["w"] = torch.rand(size["N"], generator=random) + 0.1
    return {n: t.to(dtype) if t.is_floating_point() else t for n, t in inputs.items()}


@cache
def bare(name):
    """Scores are nothing but a bias."""
    return attnc.loads(
        f"attention a input bias[H, M, N], there[M, N]: bool score s = bias[i, j] mask there[i, j] "
        f"normalize p = {BY_NAME[name]}"
    )
