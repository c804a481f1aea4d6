"""What Triton's language lacks, function by function in the interpreter, against torch in float64 or Python's ints."""

import importlib.util
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import attnc

from .workers import run

SOURCE = Path(attnc.__file__).parent / "codegen" / "triton" / "functions.py"
KERNEL = """

@triton.jit
def apply_{name}({pointers}, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, {name}({values}))
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """A file of the functions and a kernel for each: Triton reads kernels from files."""
    text = SOURCE.read_text()
    for name, arguments in re.findall(r"\ndef (\w+)\((.*)\):", text):
        names = arguments.split(", ")
        values = ", ".join(f"tl.load({name} + place)" for name in names)
        text += KERNEL.format(name=name, pointers=", ".join(names), values=values)
    path = tmp_path_factory.mktemp("functions") / "kernels.py"
    path.write_text(text)
    return str(path)


@cache
def imported(path):
    spec = importlib.util.spec_from_file_location("kernels_of_functions", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def applied(path, name, arrays, dtype):
    """A function's values, computed by one program."""
    np.seterr(all="ignore")
    count = len(arrays[0])
    size = 1 << (count - 1).bit_length()
    given = [torch.from_numpy(np.pad(array, (0, size - count), constant_values=1)) for array in arrays]
    out = torch.empty(size, dtype=getattr(torch, dtype))
    getattr(imported(path), f"apply_{name}")[(1,)](*given, out, SIZE=size)
    return out[:count].numpy()


def call(module, name, *given, dtype=None):
    found = run("interpreter", applied, module, name, [x.numpy() for x in given], dtype or str(given[0].dtype)[6:])
    return torch.from_numpy(found)


# --- floating functions: errors in units of the last place -----------------------------------------------------------

SPECIAL = torch.tensor([0.0, math.inf, -math.inf, math.nan, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 1, -1, 2, -2.5, 0.5, -3])
WIDE = torch.cat([sign * torch.logspace(-44, 38, 2000) for sign in (1, -1)])
NEAR = torch.cat([torch.linspace(-1, 1, 4001), torch.linspace(-20, 20, 4001)])


ANGLES = torch.cat([torch.arange(-3000, 3000) * (math.pi / 4), torch.arange(0, 100_000, 7) * 0.83])


def pairs(*parts):
    """Two arguments; and all pairs of special values."""
    grid = torch.meshgrid(SPECIAL, SPECIAL, indexing="ij")
    return [torch.cat([one, special.flatten()]) for one, special in zip(parts, grid)]


def randoms(count, seed):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


def quotients():
    """Large and small ones, and some that round to whole numbers."""
    a = torch.cat([randoms(4000, 0) * 100, torch.arange(-2000, 2000) * 0.1])
    b = torch.cat([randoms(4000, 1), torch.full((2000,), 0.1), torch.full((2000,), -0.3)])
    return a, b


ONE = {
    "expm1": (8, torch.expm1, [WIDE, NEAR, torch.linspace(-100, 88.7, 4000)]),
    "log1p": (4, torch.log1p, [WIDE.abs(), NEAR, torch.linspace(-1, -0.99, 2000)]),
    "tanh": (4, torch.tanh, [WIDE, NEAR]),
    "softplus": (4, lambda x: torch.logaddexp(x, torch.zeros_like(x)), [WIDE, NEAR, torch.linspace(-86, 86, 4000)]),
    "log_sigmoid": (4, torch.nn.functional.logsigmoid, [WIDE, NEAR, torch.linspace(-86, 86, 4000)]),
    "round_even": (0, torch.round, [WIDE, NEAR, torch.arange(-101, 102) / 2, torch.arange(-5, 6) + (1 << 23)]),
    "sign": (0, torch.sign, [WIDE]),
    "relu": (0, torch.relu, [WIDE]),
    "sin": (2, torch.sin, [WIDE[WIDE.abs() < 2**24], NEAR, ANGLES]),
    "cos": (2, torch.cos, [WIDE[WIDE.abs() < 2**24], NEAR, ANGLES]),
}
TWO = {
    "atan2": (4, torch.atan2, pairs(torch.cat([randoms(4000, 0), WIDE]), torch.cat([randoms(4000, 1), WIDE.flip(0)]))),
    "float_mod": (1, torch.remainder, quotients()),
    "finite_or": (0, lambda x, y: torch.where(torch.isfinite(x), x, y), pairs(WIDE, WIDE.flip(0))),
    "multiply": (1, torch.mul, pairs(WIDE, WIDE.flip(0))),
    "power": (4, torch.pow, pairs(torch.logspace(-44, 38, 4000), randoms(4000, 0) * 3)),
    "power near 1": (4, torch.pow, [1 + randoms(4000, 0) * 1e-3, randoms(4000, 1) * 1e4]),
    "power of negatives": (4, torch.pow, [-randoms(4000, 0).abs() * 5, torch.round(randoms(4000, 1) * 10)]),
    "larger": (0, torch.maximum, pairs(WIDE, WIDE.flip(0))),
    "smaller": (0, torch.minimum, pairs(WIDE, WIDE.flip(0))),
    "logaddexp": (4, torch.logaddexp, pairs(randoms(4000, 0) * 10, randoms(4000, 1) * 10)),
}


def units(found, exact, size):
    """Errors in units of the last place of the exact value, or of a larger size; infinities and NaN must agree."""
    rounded = exact.float()
    finite = torch.isfinite(rounded)
    assert torch.equal(found[~finite].nan_to_num(nan=7), rounded[~finite].nan_to_num(nan=7))
    last = torch.floor(torch.log2(torch.maximum(exact.abs(), size))).clamp(min=-126) - 23
    return torch.where(finite, (found.double() - exact).abs() / torch.exp2(last), 0.0)


@pytest.mark.parametrize("name", ONE)
def test_of_one_argument(module, name):
    bound, exact, places = ONE[name]
    x = torch.cat([*places, SPECIAL if name not in ("sin", "cos") else SPECIAL[SPECIAL.abs() != 3e38]])
    found = call(module, name, x)
    size = x.abs().double() * 1e-6 if name in ("sin", "cos") else torch.zeros(()).double()
    errors = units(found, exact(x.double()), size)
    worst = int(errors.argmax())
    assert errors[worst] <= bound, (x[worst], found[worst], errors[worst])


@pytest.mark.parametrize("name", TWO)
def test_of_two_arguments(module, name):
    bound, exact, (x, y) = TWO[name]
    found = call(module, name.split()[0], x, y)
    size = torch.maximum(x.abs(), y.abs()).double() if name == "logaddexp" else torch.zeros(()).double()
    errors = units(found, exact(x.double(), y.double()), size)
    worst = int(errors.argmax())
    assert errors[worst] <= bound, (x[worst], y[worst], found[worst], errors[worst])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_order_of_numbers(module, dtype):
    """As integers they are in the same order, next ones are next, and they come back."""
    ordered = torch.cat([WIDE, SPECIAL[SPECIAL == SPECIAL]]).to(dtype).sort().values
    keys = call(module, "in_order", ordered, dtype="int64")
    rises = ordered[1:] > ordered[:-1]
    assert torch.all(keys[1:][rises] > keys[:-1][rises]) and torch.all(keys[1:] >= keys[:-1])
    following = torch.nextafter(ordered, torch.full_like(ordered, math.inf))
    finite = torch.isfinite(ordered) & (ordered != 0) & (following != 0)
    assert torch.equal(
        (call(module, "in_order", following, dtype="int64") - keys)[finite], torch.ones_like(keys)[finite]
    )
    back = "from_order" if dtype == torch.float32 else "from_wide_order"
    assert torch.equal(call(module, back, keys, dtype=str(dtype)[6:]), ordered)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding(module, dtype):
    x = torch.cat([WIDE, torch.zeros(1)]).to(dtype)
    assert torch.equal(call(module, "rounding", x), x.abs() * torch.finfo(dtype).eps)


def test_logarithm_for_powers(module):
    """To 49 bits, also of subnormal numbers."""
    x = torch.cat([WIDE.abs(), torch.linspace(0.5, 2, 4001), torch.tensor([1 + 2.0**-23, 1 - 2.0**-24])])
    found, exact = call(module, "log2_wide", x, dtype="float64"), torch.log2(x.double())
    assert torch.all((found - exact).abs() <= 2.0**-49 * exact.abs())


# --- integers: exact -------------------------------------------------------------------------------------------------

WHOLE = [0, 1, -1, 2, -2, 3, -3, 7, -7, 63, 64, 65, 1000, -1000, (1 << 31) - 1, 1 - (1 << 31)]
LARGE = [(1 << 62) + 1, -(1 << 62), (1 << 63) - 1]


def wrapped(value):
    """As 64 bits hold it."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


EXACT = {
    "floordiv": lambda a, b: a // b if b else 0,
    "mod": lambda a, b: a % b if b else 0,
    "shift_left": lambda a, b: wrapped(a << max(b, 0)) if b < 64 else 0,
    "shift_right": lambda a, b: a >> min(max(b, 0), 63),
}


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("name", EXACT)
def test_of_integers(module, name, dtype):
    """All signs and divisors of 0."""
    values = WHOLE if dtype == torch.int32 else WHOLE + LARGE
    x, y = (t.flatten() for t in torch.meshgrid(*[torch.tensor(values, dtype=dtype)] * 2, indexing="ij"))
    found = call(module, name, x, y, dtype="int64")
    wanted = [EXACT[name](a, b) for a, b in zip(x.tolist(), y.tolist())]
    assert found.tolist() == wanted
