"""Where the time of a catalogue row goes, by the clock."""

import re
from functools import partial

import pytest

from attnc import loads
from benchmarks.catalogue.measure import isolated, located
from benchmarks.catalogue.stages import describe

SHARE = re.compile(r"(\d+) % in ((operands of )?the (forward|backward)'s .+|calls and memory around the kernels)")


@pytest.mark.parametrize("name", ["attnrank", "nap:non"])
def test_shares_of_a_call(name):
    where = isolated(partial(located, length=256), name)["where"]
    found = [SHARE.fullmatch(text) for text in where]
    assert found and all(found), where
    shares = [int(match[1]) for match in found]
    assert shares == sorted(shares, reverse=True) and shares[-1] >= 15 and sum(shares) <= 102


def test_what_a_stage_does():
    additive = "attention a input w[D] score s = sum[d'](w[d'] * tanh(q[i, d'] + k[j, d']))"
    derivation = loads(additive.replace("d'", "c").replace("score", "axis c: D score")).derivation()
    plan = derivation.plan_backward(derivation.gradient(("q", "k", "v")), both=True)
    assert any("feature by feature" in describe(stage) for stage in plan.stages)
    (only,) = loads("attention a").derivation().plan_forward(()).stages
    assert describe(only) == "pass over i by j"
