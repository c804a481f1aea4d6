"""Values: lets, operators, functions, reductions, conditions, parameters."""

import math

import pytest
import torch

from .conftest import B, D, H, M, N, heads, same, scores

X = torch.linspace(-2.6, 2.6, N, dtype=torch.float64)
POINTWISE = {
    "exp(x[j])": torch.exp,
    "exp2(x[j])": torch.exp2,
    "expm1(x[j])": torch.expm1,
    "log(abs(x[j]) + 1)": lambda x: torch.log(x.abs() + 1),
    "log1p(abs(x[j]))": lambda x: torch.log1p(x.abs()),
    "log2(abs(x[j]) + 1)": lambda x: torch.log2(x.abs() + 1),
    "logaddexp(x[j], 0.5)": lambda x: torch.logaddexp(x, torch.full_like(x, 0.5)),
    "sqrt(abs(x[j]))": lambda x: x.abs().sqrt(),
    "rsqrt(abs(x[j]) + 1)": lambda x: (x.abs() + 1).rsqrt(),
    "abs(x[j])": torch.abs,
    "sign(x[j])": torch.sign,
    "min(x[j], 0.5, 2)": lambda x: x.clamp(max=0.5),
    "max(x[j], -1)": lambda x: x.clamp(min=-1),
    "clamp(x[j], -1, 1)": lambda x: x.clamp(-1, 1),
    "floor(x[j]) * 1.0": torch.floor,
    "ceil(x[j]) * 1.0": torch.ceil,
    "round(x[j] * 2) * 1.0": lambda x: torch.round(x * 2),
    "relu(x[j])": torch.relu,
    "sigmoid(x[j])": torch.sigmoid,
    "log_sigmoid(x[j])": torch.nn.functional.logsigmoid,
    "tanh(x[j])": torch.tanh,
    "silu(x[j])": torch.nn.functional.silu,
    "gelu(x[j])": torch.nn.functional.gelu,
    "elu(x[j])": torch.nn.functional.elu,
    "softplus(x[j])": torch.nn.functional.softplus,
    "erf(x[j])": torch.erf,
    "sin(x[j]) + cos(x[j])": lambda x: x.sin() + x.cos(),
    "atan2(x[j], 2)": lambda x: torch.atan2(x, torch.full_like(x, 2)),
    "stop_gradient(x[j])": lambda x: x,
    "x[j] ** 3 - x[j] ** -2": lambda x: x**3 - x**-2,
    "2 ** x[j]": torch.exp2,
    "abs(x[j]) ** x[j]": lambda x: x.abs() ** x,
    "x[j] // 0.7": lambda x: torch.floor(x / 0.7),
    "x[j] % 0.7": lambda x: torch.remainder(x, 0.7),
    "-x[j] + (+x[j]) * 3 - x[j] / 4": lambda x: -x + 3 * x - x / 4,
    "x[j] if x[j] > 0 else 2 * x[j]": lambda x: torch.where(x > 0, x, 2 * x),
    "1 if -1 < x[j] <= 1 else 0": lambda x: ((x > -1) & (x <= 1)).long(),
    "(x[j] > 0) + (x[j] > 1)": lambda x: (x > 0).long() + (x > 1).long(),
    "pi * x[j] - 0 * inf if x[j] > 9 else pi": lambda x: torch.full_like(x, math.pi),
}


@pytest.mark.parametrize("text", POINTWISE)
def test_pointwise(meaning, text):
    same(meaning(f"attention a input x[N] output y[j] = {text}", X), POINTWISE[text](X))


INTEGERS = {
    "x[j] // 3": lambda x: torch.div(x, 3, rounding_mode="floor"),
    "x[j] % 3": lambda x: torch.remainder(x, 3),
    "x[j] // -3": lambda x: torch.div(x, -3, rounding_mode="floor"),
    "x[j] % -3": lambda x: torch.remainder(x, -3),
    "ceildiv(x[j], 3)": lambda x: -torch.div(-x, 3, rounding_mode="floor"),
    "x[j] & 5": lambda x: x & 5,
    "x[j] ^ 5": lambda x: x ^ 5,
    "(x[j] << 2) + (x[j] >> 1)": lambda x: (x << 2) + (x >> 1),
    "x[j] ** 2 - 7": lambda x: x**2 - 7,
    "abs(x[j]) + sign(x[j])": lambda x: x.abs() + x.sign(),
    "max(x[j], 1) - min(x[j], -1)": lambda x: x.clamp(min=1) - x.clamp(max=-1),
    "round(x[j]) + floor(x[j])": lambda x: 2 * x,
}


@pytest.mark.parametrize("text", INTEGERS)
def test_integers_floor_as_in_python(meaning, text):
    x = torch.arange(-7, 8)
    same(meaning(f"attention a input x[N]: int output y[j] = {text}", x), INTEGERS[text](x))


CONDITIONS = {
    "x[j] == 2 or x[j] == 3": lambda x: (x == 2) | (x == 3),
    "not x[j] > 2": lambda x: x <= 2,
    "x[j] != 2 and not (x[j] < 0)": lambda x: (x != 2) & (x >= 0),
    "x[j] in (1, 3, 100)": lambda x: (x == 1) | (x == 3),
    "x[j] not in (1, 3)": lambda x: (x != 1) & (x != 3),
    "x[j] in x": lambda x: torch.ones_like(x, dtype=torch.bool),
    "7 - x[j] in x": lambda x: x >= 0,
    "j <= x[j] < 2 * j": lambda x: (torch.arange(15) <= x) & (x < 2 * torch.arange(15)),
    "(x[j] > 0) == (x[j] > 3)": lambda x: (x <= 0) | (x > 3),
    "(x[j] > 0) != (x[j] > 3)": lambda x: (x > 0) & (x <= 3),
    "x[j] > 0 if j > 7 else x[j] < 0": lambda x: torch.where(torch.arange(15) > 7, x > 0, x < 0),
    "any[m](x[m] == x[j] + 3)": lambda x: x <= 4,
    "all[m](x[m] <= x[j])": lambda x: x == 7,
    "any(x == 3) and all(x > -8)": lambda x: torch.ones_like(x, dtype=torch.bool),
}


@pytest.mark.parametrize("text", CONDITIONS)
def test_conditions(meaning, text):
    x = torch.arange(-7, 8)
    same(meaning(f"attention a input x[N]: int axis m: N output y[j] = {text}", x), CONDITIONS[text](x))


def test_only_the_chosen_branch_is_differentiated(meaning):
    x = torch.tensor([0.0, 4.0], dtype=torch.float64, requires_grad=True)
    meaning("attention a input x[N] output y[j] = sqrt(x[j]) if x[j] > 0 else 2 * x[j]", x).sum().backward()
    same(x.grad[1], torch.tensor(0.25, dtype=torch.float64))


def test_stop_gradient(meaning):
    x = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    meaning("attention a input x[N] output y[j] = x[j] * stop_gradient(x[j])", x).sum().backward()
    same(x.grad, x.detach())


# --- reductions ------------------------------------------------------------------------------------------------------


def test_core_reductions(meaning, make):
    x = make(B, N, D)
    text = "attention a input x[B, N, D] output a = sum[j](x[j]), b = prod[j](x[j]), c = max[j](x[j]), d = min[j](x[j])"
    found = meaning(text, x)
    same(found.a, x.sum(1)), same(found.b, x.prod(1)), same(found.c, x.amax(1)), same(found.d, x.amin(1))


def test_reductions_over_several_axes(meaning, make):
    x = make(B, 3, 4)
    text = "attention a input x[B, Y, X] axis y: Y, z: X output s = sum[y, z](x[y, z]), m = max[y, z](x[y, z])"
    found = meaning(text, x)
    same(found.s, x.sum((1, 2))), same(found.m, x.amax((1, 2)))


def test_reductions_without_a_bracket_run_over_the_vector(meaning, make):
    x = make(B, N, D)
    text = "attention a input x[B, N, D] axis j: N output n[j] = norm(x[j]), m[j] = max(x[j]) - sum(x[j]) + mean(x[j])"
    found = meaning(text, x)
    same(found.n, x.norm(dim=-1)), same(found.m, x.amax(-1) - x.sum(-1) + x.mean(-1))


def test_a_condition_in_the_bracket(meaning, make):
    x = make(B, N)
    text = "attention a input x[B, N] axis i, j: N "
    text += "output y[i] = sum[j: j <= i and x[j] > 0](x[j]), n[i] = sum[j: j < i](1)"
    found = meaning(text, x)
    same(found.y, x.clamp(min=0).cumsum(-1))
    same(found.n, torch.arange(N).expand(B, N))


def test_empty_reductions(meaning, make):
    x = make(B, N)
    text = """
    attention a
    input     x[B, N]
    axis      i, j: N
    output    s[i] = sum[j: j < i - 9](x[j]), hi[i] = max[j: j < i - 9](x[j]), lo[i] = min[j: j < i - 9](x[j]),
              one[i] = prod[j: j < i - 9](x[j]), m[i] = mean[j: j < i - 9](x[j]), v[i] = var[j: j < i - 9](x[j]),
              d[i] = std[j: j < i - 9](x[j]), n[i] = norm[j: j < i - 9](x[j])
    """
    found = meaning(text, x)
    zero = torch.zeros(B, N, dtype=torch.float64)
    for value in (found.s, found.m, found.v, found.d, found.n):
        same(value, zero)
    same(found.hi, zero - torch.inf), same(found.lo, zero + torch.inf), same(found.one, zero + 1)


def test_a_quotient_by_a_reduction_that_is_zero_is_zero(meaning):
    x = torch.tensor([[1.0, -1.0], [2.0, 3.0]], dtype=torch.float64)
    found = meaning("attention a input x[B, N] axis j: N output y[j] = x[j] / sum[j](x[j])", x)
    same(found, torch.tensor([[0, 0], [0.4, 0.6]], dtype=torch.float64))


def test_so_it_is_in_a_definition_of_the_user(meaning):
    x = torch.tensor([[1.0, -1.0], [2.0, 3.0]], dtype=torch.float64)
    text = "define share[j](x) = x / sum[j](x) attention a input x[B, N] output y[j] = share[j](x[j])"
    same(meaning(text, x), torch.tensor([[0, 0], [0.4, 0.6]], dtype=torch.float64))


# --- lets ------------------------------------------------------------------------------------------------------------


def test_a_let_with_indices_is_read_at_others(meaning, make):
    x = make(B, H, N, N)
    text = """
    attention a
    input     x[B, H, N, N]
    axis      i, j: N
    let       s[h, i, j] = exp(x[h, i, j])
    output    y[i, j] = s[h, j, i] - s[0, i, i] + s[h, i - 1, j + 1]
    """
    e = x.exp()
    shifted = torch.nn.functional.pad(e, (0, 1, 1, 0))[..., :N, 1:]
    same(meaning(text, x), e.mT - torch.diagonal(e[:, 0], dim1=-2, dim2=-1)[:, None, :, None] + shifted)


def test_the_order_of_indices_on_the_left_is_the_order_of_reading(meaning, make):
    x = make(B, N, D)
    text = "attention a input x[B, N, D] axis j: N, d: D let t[d, j] = x[j, d] output y[j, d] = t[d, j - 1]"
    same(meaning(text, x), torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :N])


def test_inferred_indices(meaning, qkv):
    q, k, v = qkv
    text = "attention a let c = q[i] @ k[j] let r = c / 2 score s = r + c"
    same(meaning(text, q, k, v), torch.softmax(scores(q, k) * D**0.5 * 1.5, -1) @ heads(v))


def test_lets_may_stand_in_any_order(meaning, qkv):
    q, k, v = qkv
    text = "attention a score s = c + 1 let c = d * 2 let d = q[i] @ k[j]"
    same(meaning(text, q, k, v), torch.softmax(scores(q, k) * D**0.5 * 2, -1) @ heads(v))


def test_a_vector_let_read_with_more_entries(meaning, make):
    x = make(B, N, D)
    text = "attention a input x[B, N, D] axis j: N let t[j] = 2 * x[j] output y[j] = t[j, 1] + sum(t[j, :3])"
    same(meaning(text, x), 2 * x[..., 1] + 2 * x[..., :3].sum(-1))


# --- parameters ------------------------------------------------------------------------------------------------------


def test_parameters(meaning, make):
    x = make(N)
    text = """
    attention a(n: int, scale: float = 0.5, flip: bool = False, kind: "plus" | "minus" = "plus")
    input     x[N]
    output    y[j] = (x[j] + n if kind == "plus" else x[j] - n) * scale * (-1 if flip else 1)
    """
    same(meaning(text, x, n=2), (x + 2) * 0.5)
    same(meaning(text, x, n=2, scale=2, flip=True), -(x + 2) * 2)
    same(meaning(text, x, n=2, kind="minus"), (x - 2) * 0.5)


def test_the_first_mode_is_the_default(meaning, make):
    x = make(N)
    same(meaning('attention a(kind: "b" | "a") input x[N] output y[j] = x[j] if kind == "b" else 0.0', x), x)


@pytest.mark.parametrize("causal", [True, False])
def test_a_mask_may_depend_on_a_bool(meaning, qkv, causal):
    q, k, v = qkv
    s = scores(q, k)
    if causal:
        s = s.masked_fill(torch.arange(N)[None] > torch.arange(M)[:, None], -torch.inf)
    text = "attention a(causal: bool = False) mask j <= i or not causal"
    same(meaning(text, q, k, v, causal=causal), torch.softmax(s, -1) @ heads(v))
