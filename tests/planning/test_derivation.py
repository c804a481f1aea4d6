"""Streaming is derived, not recognised: the same function written in other ways gets the same passes."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attnc

NAMES = st.sampled_from(["f", "mix", "soft", "normalise", "gibbs", "w_2"])
EXPONENTIALS = {
    "e": "exp({x})",
    "base 2": "exp2({x} * 1.4426950408889634)",
    "base 2, divided": "exp2({x} / log(2))",
    "product": "exp({x} * 0.25) * exp({x} * 0.75)",
    "inverse": "1 / exp(-({x}))",
}
SHIFTS = {
    "max": "max[j](s)",
    "max beyond 0": "max(max[j](s), 0)",
    "max from below": "-min[j](-s)",
    "none": None,
}
QUOTIENTS = ["{e} / {z}", "{e} * (1 / {z})", "(2 * {e}) / (2 * {z})", "1 / ({z} / {e})", "{e} * {z} ** -1"]


@st.composite
def definitions(draw):
    """A definition of softmax, sometimes with a sink and with the sign of scores kept outside."""
    name = draw(NAMES)
    sign = draw(st.booleans())
    sink = draw(st.booleans())
    score = "abs(s)" if sign else "s"
    shift = SHIFTS[draw(st.sampled_from(list(SHIFTS)))]
    form = EXPONENTIALS[draw(st.sampled_from(list(EXPONENTIALS)))]
    quotient = draw(st.sampled_from(QUOTIENTS))
    uses_with = draw(st.booleans())
    moved = f" - {shift.replace('(s)', f'({score})').replace('(-s)', f'(-{score})')}" if shift else ""
    exponential = form.format(x=f"({score}{moved})")
    total = f"sum[j]({exponential})"
    if sink:
        total = f"({form.format(x=f'(0.5{moved})')} + {total})"
    body = quotient.format(e="e" if uses_with else f"({exponential})", z="z" if uses_with else total)
    ending = f" with e = {exponential}, z = {total}" if uses_with else ""
    outside = "sign(s) * " if sign else ""
    return name, f"define {name}[j](s) = {outside}({body}){ending}", sign, sink


def attention(name, define, ending=""):
    return attnc.loads(f"{define}\nattention a\nmask j <= i\nnormalize p = {name}[j](s){ending}")


def plans(spec):
    derivation = spec.derivation()
    gradient = derivation.gradient(("q", "k", "v"))
    kept = sorted(saved.result or "".join(axis.name for axis in saved.axes) for saved in gradient.kept)
    return derivation.plan_forward(gradient.kept), derivation.plan_backward(gradient), kept


def shape(plan):
    return [[(a.op, a.home, a.phase, len(a.rescales)) for a in stage.accumulators] for stage in plan.passes]


FORWARD = [[("max", "row", 0, 0), ("sum", "row", 1, 1), ("sum", "row", 1, 1)]]
BACKWARD = [[("sum", "loop", 0, 0), ("sum", "row", 0, 0), ("sum", "row", 0, 0)]]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(definitions())
def test_one_pass_each_way_however_it_is_written(made):
    name, define, _, _ = made
    forward, backward, kept = plans(attention(name, define))
    assert [[step if step[0] != "min" else ("max", *step[1:]) for step in found] for found in shape(forward)] == FORWARD
    assert shape(backward) == BACKWARD
    assert kept == ["bhi", "out"]


def normalized(source):
    """The code without its comments, which hold the spec."""
    return re.sub(r"//.*\n", "", source)


@pytest.mark.parametrize("backward", [False, True])
def test_a_renamed_softmax_gives_the_same_source(backward):
    own = attention("mine", "define mine[b](x) = w / sum[b](w) with top = max[b](x), w = exp(x - top)")
    standard = attnc.loads("attention a\nmask j <= i")
    assert normalized(own.source(backward=backward)) == normalized(standard.source(backward=backward))


def test_softmax_plus_one_without_a_shift_is_the_prelude_s():
    own = attention("f", "define f[j](s) = exp(s) / (1 + sum[j](exp(s)))")
    assert plans(own)[2] == plans(attention("softmax1", ""))[2] == ["bhi", "out"]
    assert shape(plans(own)[0]) == FORWARD


@pytest.mark.parametrize("base", ["exp({x})", "exp2({x} / log(2))"])
@pytest.mark.parametrize("shift", ["", " - max[j](s)"])
def test_numbers_of_other_spellings(base, shift):
    e = base.format(x=f"(s{shift})")
    spec = attention("f", f"define f[j](s) = {e} / sum[j]({e})")
    random = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(1, 2, 70, 16, generator=random) for _ in range(3))
    q = (100 * q).requires_grad_()
    truth = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(spec(q, k, v), truth, rtol=1e-4, atol=1e-4)


def test_no_shift_is_given_to_what_it_would_change():
    """exp(s) / (1 + Σ exp(s))² is not one of s - m: a shift would change it, so none is given."""
    forward, _, _ = plans(attention("f", "define f[j](s) = exp(s) / (1 + sum[j](exp(s))) ** 2"))
    assert all(a.op == "sum" for stage in forward.passes for a in stage.accumulators)


def test_sums_that_no_shift_moves_take_another_pass():
    """Scores above their own mean: the mean must be known before (and the count of keys, which no head has apart)."""
    forward, _, _ = plans(attention("f", "define f[j](s) = relu(s - mean[j](s)) / sum[j](relu(s - mean[j](s)))"))
    assert [axis.name for stage in forward.passes for axis in stage.grid] == ["b", "h", "b", "h"]
