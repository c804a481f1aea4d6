"""Names of a spec and names that the generator makes up never meet in a kernel."""

import ast
import re

import pytest

import attnc

from ..corpus import attentions
from .interpreting import measured_random
from .workers import run

HOSTILE = """attention a
input rows0[H, N, D], scores0[H, N, N], sum0[H, N], first_row[N]: int, sum_3[H], offsets16[N], column_valid[N]: bool
input q_stride0: float, x_1: float, begin: float
axis i, offsets: N, sum1: D
mask first_row[i] >= first_row[offsets]
score s[i, offsets] = sum[sum1](q[i, sum1] * rows0[offsets, sum1]) * q_stride0 + scores0[i, offsets] * x_1
normalize p[i, offsets] = exp(s - logsumexp[offsets](s)) * (sum0[offsets] + sum_3) + begin * offsets16[offsets]
aggregate out[i] = sum[offsets: column_valid[offsets]](p * v[offsets])
"""
SIZES = {"B": 2, "H": 2, "G": 1, "M": 19, "N": 21, "D": 8, "E": 6}


def meetings(text):
    """Arguments that are assigned, and made-up names with one number."""
    found = []
    for function in (item for item in ast.parse(text).body if isinstance(item, ast.FunctionDef)):
        arguments = {argument.arg for argument in function.args.args}
        assigned = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        found += sorted(arguments & assigned) if function.name.startswith(("stage", "nest", "pack")) else []
        numbers = {}
        for name in assigned | arguments:
            if match := re.search(r"_(\d+)$", name):
                numbers.setdefault(match[1], set()).add(name)
        found += [sorted(names) for names in numbers.values() if len(names) > 1]
    return found


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_no_names_meet(backward):
    examples = [attention for name, attention in attentions().items() if name.startswith("examples/")]
    for attention in [attnc.loads(HOSTILE), *examples]:
        assert not meetings(attention.source("triton", backward=backward))


def test_a_meeting_is_seen():
    assert meetings("def stage0(a, b):\n    a = b\n    x_1 = y_1 = b\n") == ["a", ["x_1", "y_1"]]


def test_hostile_names_compute_the_same():
    errors = run("interpreter", measured_random, HOSTILE, SIZES)
    assert not isinstance(errors, str) and all(error[1] for error in errors), errors
