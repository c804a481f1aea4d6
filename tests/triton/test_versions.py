"""The oldest and the newest Triton that the project declares: they interpret and compile as the one in use does."""

import pytest

from benchmarks.matrix import Item

from .compiling import rows_of, version
from .interpreting import measured
from .workers import run

OTHERS = ["3.6.0", "3.9.0"]
ODD = {"B": 1, "H": 2, "G": 1, "M": 21, "N": 37}
INTERPRETED = [("causal", "float32"), ("t5_encoder", "float32"), ("sliding", "float16"), ("rotary", "bfloat16")]


@pytest.mark.parametrize("number", OTHERS)
def test_it_is_that_version(number):
    assert run("compiler", version, version=number) == number


@pytest.mark.parametrize("name, dtype", INTERPRETED)
@pytest.mark.parametrize("number", OTHERS)
def test_interpreted(number, name, dtype):
    errors = run("interpreter", measured, f"examples/{name}", dtype, ODD, version=number)
    assert all(error[1] for error in errors), errors


@pytest.mark.parametrize("target", ["sm_90", "sm_100", "gfx942"])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("number", OTHERS)
def test_compiled(number, target, backward):
    rows = run("compiler", rows_of, Item("causal", backward, target, 128), version=number)
    assert rows and not [row for row in rows if row["faults"]], rows
