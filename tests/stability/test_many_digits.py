"""Rows of float64 against 60 digits, where scores are about a million and differ by thousandths."""

import mpmath
import pytest
import torch

from .specs import FORMULA_OF, bare

SIZE = 7


def softmax_of(row):
    weights = [mpmath.exp(x - max(row)) for x in row]
    return [w / sum(weights) for w in weights]


def softmax_pull(row, cotangent):
    p = softmax_of(row)
    mean = sum(a * b for a, b in zip(p, cotangent))
    return [a * (c - mean) for a, c in zip(p, cotangent)]


def deviation_of(row):
    mean = sum(row) / len(row)
    return mean, mpmath.sqrt(sum((x - mean) ** 2 for x in row) / len(row))


def standardize_of(row):
    mean, deviation = deviation_of(row)
    return [(x - mean) / deviation for x in row]


def standardize_pull(row, cotangent):
    p, (_, deviation) = standardize_of(row), deviation_of(row)
    mean = sum(cotangent) / len(row)
    along = sum(a * b for a, b in zip(p, cotangent)) / len(row)
    return [(c - mean - a * along) / deviation for a, c in zip(p, cotangent)]


ROWS = {"softmax": (softmax_of, softmax_pull), "standardize": (standardize_of, standardize_pull)}


def number(x):
    return mpmath.mpf(float(x))


def exact(name, inputs, cotangent):
    """The result and the gradient of the bias, rounded once, to float64."""
    with mpmath.workdps(60):
        row = [number(x) for x in inputs["bias"].flatten()]
        values = [[number(x) for x in line] for line in inputs["v"][0, 0]]
        outer = [sum(number(c) * x for c, x in zip(cotangent.flatten(), line)) for line in values]
        weights, gradient = ROWS[name][0](row), ROWS[name][1](row, outer)
        result = [sum(w * line[e] for w, line in zip(weights, values)) for e in range(len(values[0]))]
        return {
            "result": torch.tensor([float(x) for x in result], dtype=torch.float64),
            "gradient": torch.tensor([float(x) for x in gradient], dtype=torch.float64),
        }


def inputs_of(seed, middle):
    random = torch.Generator().manual_seed(seed)
    return {
        "v": torch.randn(1, 1, SIZE, 3, generator=random, dtype=torch.float64),
        "bias": middle + 1e-3 * torch.randn(1, 1, SIZE, generator=random, dtype=torch.float64),
        "there": torch.ones(1, SIZE, dtype=torch.bool),
    }


def errors(call, inputs, cotangent, truth):
    v, bias, there = inputs["v"], inputs["bias"].clone().requires_grad_(), inputs["there"]
    out = call(v, bias, there)
    (gradient,) = torch.autograd.grad(out, bias, cotangent)
    found = {"result": out.detach().flatten(), "gradient": gradient.flatten()}
    return torch.stack([(found[key] - truth[key]).abs().max() for key in truth])


FAULTS = {
    ("softmax", 1e6, "gradient"): "the backward keeps the maximum and the log of the sum as one number",
    ("standardize", 1e6, "gradient"): "sums of products of scores, large as these are, cancel",
}


def cases():
    for name in ROWS:
        for middle in (0.0, 1e6):
            for part in ("result", "gradient"):
                reason = FAULTS.get((name, middle, part))
                marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
                yield pytest.param(name, middle, part, marks=marks)


@pytest.mark.parametrize(("name", "middle", "part"), [*cases()])
def test_float64(name, middle, part):
    """As good as the formula in float64, or within 4 units of the largest result."""
    own, eager, size = [], [], []
    for seed in range(4):
        inputs, cotangent = inputs_of(seed, middle), torch.tensor([[[[1.0, -0.5, 0.25]]]], dtype=torch.float64)
        truth = exact(name, inputs, cotangent)
        formula = FORMULA_OF[name]
        own.append(errors(bare(name), inputs, cotangent, truth))
        eager.append(errors(lambda v, bias, there, f=formula: f(bias, there) @ v, inputs, cotangent, truth))
        size.append(torch.stack([truth[key].abs().max() for key in truth]))
    which = ("result", "gradient").index(part)
    own, eager, size = (torch.stack(x).mean(0)[which] for x in (own, eager, size))
    assert own <= max(2 * eager, 4 * torch.finfo(torch.float64).eps * size), (float(own), float(eager), float(size))
