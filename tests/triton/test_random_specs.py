"""Random specs as Triton kernels, in the interpreter, against the dense meaning."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

import attnc

from ..random_specs.generator import specs
from .interpreting import measured_random
from .workers import run

SIZES = {"B": 2, "H": 2, "G": 1, "M": 19, "N": 35, "D": 8, "E": 6, "R": 4, "S": 5, "T": 11, "C": 3}
plain = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=5,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def counts():
    found = Counter()
    yield found
    assert found["checked"] >= 3 * found["cannot-be-compiled"], found


@plain
@given(text=specs())
def test_kernels_match_the_dense_meaning(text, counts):
    try:
        attnc.loads(text).card()
    except attnc.AttnError:
        assume(False)
    errors = run("interpreter", measured_random, text, SIZES)
    if isinstance(errors, str):
        assert errors == "cannot-be-compiled", (text, errors)
        counts[errors] += 1
        return
    counts["checked"] += 1
    assert all(error[1] for error in errors), (text, errors)
