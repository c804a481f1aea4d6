"""Elementary functions: error bounds against exact values, special values against libm, every instruction set."""

import ctypes
from functools import cache

import mpmath
import numpy as np
import pytest
import torch

mpmath.mp.dps = 40

# The bounds stated in the headers, in units in the last place: vectors of float, vectors of double.
BOUNDS = {
    "exp": (1.2, 1.5), "exp2": (1.2, 1.5), "expm1": (1.5, 1), "log": (1, 1), "log2": (2, 2), "log1p": (1.5, 1),
    "tanh": (2.5, 2.5), "sigmoid": (2.5, 2.5), "log_sigmoid": (2, 2), "softplus": (2, 2), "erf": (2, 1.5),
    "sin": (3, 1), "cos": (3, 1), "sqrt": (0.5, 0.5), "rsqrt": (1.5, 1.5),
}  # fmt: skip
SCALAR_BOUND = 2.5  # libm's own, and those composed of it

EXACT = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.power(2, x),
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x) / mpmath.log(2),
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log_sigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "erf": mpmath.erf,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "sqrt": mpmath.sqrt,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
}
POSITIVE = {"log", "log2", "sqrt", "rsqrt"}
WIDEST = {"sin": 1e4, "cos": 1e4}

LIBM = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log1p": np.log1p,
    "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "floor": np.floor, "ceil": np.ceil, "round": np.round, "abs": np.abs,
    "sign": lambda x: torch.sign(torch.from_numpy(x)).numpy(),
    "erf": lambda x: torch.erf(torch.from_numpy(x)).numpy(),
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "log_sigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}  # fmt: skip
TYPES = {"f": np.float32, "d": np.float64}
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 2.5, -2.5, 1e-45, -1e-45, 1e-39]
SPECIAL += [-1e-39, 3e38, -3e38, 8388609.0, -8388609.0, 4194304.5, 0.49999997, -0.49999997, 3.0, -3.0, 5e9, -5e9]
SPECIAL += [88.5, 89.5, -103.5, -104.5]


def call(library: ctypes.CDLL, name: str, *arrays: np.ndarray) -> np.ndarray:
    out = np.full_like(arrays[0], 77)
    suffix = "f" if out.dtype == np.float32 else "d"
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*arrays, out)]
    getattr(library, f"{name}_{suffix}")(*pointers, ctypes.c_int64(out.size))
    return out


def whole_vectors(values: np.ndarray, kind: type) -> np.ndarray:
    return np.resize(values.astype(kind), -(-values.size // 16) * 16)


def spread(name: str, kind: type, count: int) -> np.ndarray:
    """Arguments of every magnitude and sign where the function has a finite value, many of them of ordinary size."""
    random = np.random.default_rng(0)
    info = np.finfo(kind)
    size = min(WIDEST.get(name, np.inf), float(info.max))
    low, high = np.log2(float(info.smallest_subnormal)), np.log2(size)
    exponential = {"exp": np.log(size), "exp2": high, "expm1": np.log(size)}
    ordinary = random.uniform(-4, 4, count)
    reach = exponential.get(name, min(100, size))
    wide = random.uniform(-1.06 * reach, reach, count)
    every = np.exp2(random.uniform(low, high, count)) * random.choice([-1, 1], count)
    values = np.concatenate([ordinary, wide, every]).astype(kind)
    if name in POSITIVE:
        values = np.abs(values)
    if name == "log1p":
        values = np.where(values <= -1, np.exp2(-np.abs(ordinary[0])) - 1, values)
    with np.errstate(over="ignore"):
        result = LIBM[name](values.astype(np.float64))
    return whole_vectors(values[np.isfinite(result) & (np.abs(result) < 0.999 * float(info.max))], kind)


@cache
def exact(name: str, suffix: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arguments, the function's value as the sum of two doubles' worth, and the unit in the last place there."""
    kind = TYPES[suffix]
    arguments = spread(name, kind, count)
    values = [EXACT[name](mpmath.mpf(float(x))) for x in arguments]
    high = np.array([float(value) for value in values])
    low = np.array([float(value - mpmath.mpf(h)) for value, h in zip(values, high.tolist())])
    info = np.finfo(kind)
    exponent = np.array([float(mpmath.frexp(value)[1] - 1) if value else info.minexp for value in values])
    return arguments, np.stack([high, low]), np.exp2(np.maximum(exponent, info.minexp) - info.nmant)


def worst(got: np.ndarray, parts: np.ndarray, unit: np.ndarray) -> float:
    error = np.abs((got.astype(np.float64) - parts[0]) - parts[1]) / unit
    return float(np.max(np.where(np.isnan(error), np.inf, error)))


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("suffix", TYPES)
def test_errors_are_within_the_stated_bounds(drivers, target, name, suffix):
    library = drivers.load("math", target)
    arguments, parts, unit = exact(name, suffix, 350 if suffix == "f" else 130)
    bound = BOUNDS[name][suffix == "d"]
    assert worst(call(library, f"v_{name}", arguments), parts, unit) <= bound
    assert worst(call(library, f"s_{name}", arguments), parts, unit) <= SCALAR_BOUND


@pytest.mark.parametrize("name", BOUNDS)
def test_float_vectors_against_double(drivers, target, name):
    library = drivers.load("math", target)
    arguments = spread(name, np.float32, 1 << 16)
    value = LIBM[name](arguments.astype(np.float64))
    unit = np.exp2(np.maximum(np.frexp(value)[1] - 1, -126) - 23.0)
    parts = np.stack([value, np.zeros_like(value)])
    assert worst(call(library, f"v_{name}", arguments), parts, unit) <= BOUNDS[name][0] + 0.01


def differing(got: np.ndarray, want: np.ndarray, tolerance: float) -> np.ndarray:
    """Where they are not the same infinity, NaN, signed zero, or close number."""
    both_nan = np.isnan(got) & np.isnan(want)
    with np.errstate(invalid="ignore"):
        error, allowed = np.abs(got - want), tolerance * np.abs(want) + np.finfo(got.dtype).smallest_subnormal
        close = (got == want) | (error <= allowed)
    return np.flatnonzero(~(both_nan | (close & (np.signbit(got) == np.signbit(want)))))


@pytest.mark.parametrize("name", LIBM)
@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("form", ["v", "s"])
def test_special_values(drivers, target, name, suffix, form):
    library = drivers.load("math", target)
    arguments = whole_vectors(np.array(SPECIAL), TYPES[suffix])
    with np.errstate(all="ignore"):
        want = LIBM[name](arguments.astype(np.float64)).astype(TYPES[suffix])
    got = call(library, f"{form}_{name}", arguments)
    wrong = differing(got, want, 4e-7 if suffix == "f" else 2e-15)
    assert wrong.size == 0, [(arguments[i], got[i], want[i]) for i in wrong]


def pairs(kind: type) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([*SPECIAL, 7.0, 16777215.0, -16777215.0, 0.99999994], kind)
    random = np.random.default_rng(1)
    x, y = (grid.ravel() for grid in np.meshgrid(values, values))
    ordinary = random.uniform(-6, 6, (2, 4000)).astype(kind)
    wide = np.stack([np.exp(random.uniform(-20, 20, 4000)), random.uniform(-8, 8, 4000)]).astype(kind)
    whole = random.integers(-12, 12, (2, 4000)).astype(kind)
    x, y = (np.concatenate([part, *more]) for part, more in zip((x, y), zip(ordinary, wide, whole)))
    return whole_vectors(x, kind), whole_vectors(y, kind)


def torch_binary(function):
    return lambda x, y: function(torch.from_numpy(x.copy()), torch.from_numpy(y.copy())).numpy()


def python_modulo(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    remainder = np.fmod(x, y)
    return np.where((remainder != 0) & ((remainder < 0) != (y < 0)), remainder + y, remainder)


def of_doubles(function):
    return lambda x, y: function(x.astype(np.float64), y.astype(np.float64)).astype(x.dtype)


BINARY = {
    "atan2": (of_doubles(np.arctan2), 2.4e-7),
    "pow": (of_doubles(np.power), 1.2e-7),
    "copysign": (np.copysign, 0),
    "floordiv": (torch_binary(torch.floor_divide), 0),
    "floormod": (python_modulo, 0),
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("form", ["v", "s"])
def test_functions_of_two_arguments(drivers, target, name, suffix, form):
    library = drivers.load("math", target)
    function, tolerance = BINARY[name]
    x, y = pairs(TYPES[suffix])
    with np.errstate(all="ignore"):
        want = function(x, y)
    got = call(library, f"{form}_{name}", x, y)
    wrong = differing(got, want, tolerance if suffix == "f" else min(tolerance, 1e-15))
    assert wrong.size == 0, [(x[i], y[i], got[i], want[i]) for i in wrong[:10]]


@pytest.mark.parametrize("name, function", [("vmax", np.maximum), ("vmin", np.minimum)])
@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("form", ["v", "s"])
def test_extremes_are_nan_if_either_is(drivers, target, name, function, suffix, form):
    x, y = pairs(TYPES[suffix])
    got = call(drivers.load("math", target), f"{form}_{name}", x, y)
    np.testing.assert_array_equal(got, function(x, y))  # of 0 and -0 either may be given
