"""Every primitive as C++ spells it, along the lanes of a vector and as a single number, against torch."""

import torch

import attnc
from attnc.ir.node import reachable
from attnc.ir.primitives import PRIMITIVES
from attnc.runtime.verify import measure

ONE = (
    "exp",
    "expm1",
    "log1p",
    "tanh",
    "sigmoid",
    "log_sigmoid",
    "softplus",
    "erf",
    "sin",
    "cos",
    "relu",
    "abs",
    "sign",
)
TWO = ("atan2", "logaddexp", "max", "min")
FORMULAS = {
    "log": "log(abs({x}) + 0.1)",
    "power": "(abs({x}) + 0.1) ** {y}",
    "root": "sqrt(abs({x}))",
    "inverse": "({y} + 9) ** -2.0",
    "mod": "{x} % {y}",
    "floor": "floor({x}) + 0.0",
    "ceil": "ceil({x}) + 0.0",
    "round": "round({x}) + 0.0",
    "floordiv": "{n} // 3 + 0.5",
    "int_mod": "{n} % 5 + 0.5",
    "negative_divisor": "({n} // -4) + ({n} % -4) + 0.5",
    "bits": "(({n} & 6) ^ 3) + ({n} << 2) + ({n} >> 1) + 0.5",
    "int_extremes": "max({n}, 2) - min({n}, 1) + abs({n}) + sign({n}) + 0.5",
    "choice": "{x} if {y} < 0.2 and not {n} == 2 or {x} <= {y} else {n} + 0.5",
    "random": "uniform[i]({n} + 3) + 0 * {x} + 0.5",
    "equal": "1.5 if {x} == {y} else 0.25",
}


def formulas():
    found = {name: f"{name}({{x}})" for name in ONE} | {name: f"{name}({{x}}, {{y}})" for name in TWO}
    return found | FORMULAS


def spec():
    """Each formula at every (i, d), and at the first feature of every row."""
    parts = []
    for name, text in formulas().items():
        parts.append(f"{name}_all[i, d] = {text.format(x='x[i, d]', y='y[i, d]', n='n[i, d]')}")
        parts.append(f"{name}_one[i] = {text.format(x='x[i, 0]', y='y[i, 0]', n='n[i, 0]')}")
    return attnc.loads(
        "attention a\ninput x[N, D], y[N, D], n[N, D]: int\naxis i: N\naxis d: D\noutput " + ",\n  ".join(parts)
    )


def inputs(dtype):
    random = torch.Generator().manual_seed(5)
    x, y = (2 * torch.randn(7, 21, generator=random, dtype=torch.float64) for _ in range(2))
    x[3, 4] = y[3, 4]
    n = torch.randint(-9, 9, (7, 21), generator=random)
    return x.to(dtype).requires_grad_(), y.to(dtype).requires_grad_(), n


def test_values_and_derivatives():
    made = spec()
    for dtype in (torch.float32, torch.float64):
        for error in measure(made, inputs(dtype), {}):
            assert error.is_good, error


def test_every_pointwise_primitive_is_used_above():
    derivation = spec().derivation()
    gradient = derivation.gradient(("x", "y"))
    roots = [node for node, _ in derivation.forward.values()] + [target.node for target in gradient.targets]
    used = {node.op for node in reachable(roots) if node.kind == "map"}
    assert PRIMITIVES.keys() - used <= {
        "finite_or",
        "at_most_zero",
        "implicit",
        "in_order",
        "from_order",
        "rounding",
    }  # what softmax, masks, derivatives and searches in steps (tests/prelude/test_roots.py) are made of
