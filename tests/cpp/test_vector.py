"""Lanes, masks and integers: division that rounds down, operators of 64-bit lanes, reductions in their order."""

import ctypes

import numpy as np
import pytest

I32, I64 = np.int32, np.int64
RANDOM = np.random.default_rng(2)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.fixture
def library(drivers, target):
    return drivers.load("vector", target)


@pytest.fixture
def floats(library) -> int:
    return library.vector_bytes() // 4


def integers(kind: type, count: int) -> np.ndarray:
    """Pairs of every size and sign, with zeros, ones and the extremes among them."""
    bits = np.iinfo(kind).bits - 1
    sizes = np.exp2(RANDOM.uniform(0, bits - 0.01, (2, count))).astype(kind) * RANDOM.choice([-1, 1], (2, count))
    small = RANDOM.integers(-9, 10, (2, count))
    edges = np.array([0, 1, -1, np.iinfo(kind).max, np.iinfo(kind).min, 2**30, -(2**30) - 1], kind)
    crossed = np.stack([grid.ravel() for grid in np.meshgrid(edges, edges)])
    mixed = np.stack([sizes[0], small[1]])
    return np.concatenate([sizes, small, mixed, np.resize(crossed, (2, 64))], axis=1).astype(kind)


def wrapped(value: int, kind: type) -> int:
    return int(np.array(value & (2 ** np.iinfo(kind).bits - 1), np.uint64).astype(kind))


@pytest.mark.parametrize("name, kind", [("i32", I32), ("i64", I64), ("wide", I64)])
@pytest.mark.parametrize("operation", ["floordiv", "floormod"])
def test_integer_division_is_pythons(library, floats, name, kind, operation):
    lanes = floats if name != "i64" else floats // 2
    a, b = integers(kind, 64 * 16)
    got = np.empty_like(a)
    for i in range(0, a.size, lanes):
        getattr(library, f"{operation}_{name}")(pointer(a[i:]), pointer(b[i:]), pointer(got[i:]))
    python = int.__floordiv__ if operation == "floordiv" else int.__mod__
    want = [wrapped(python(x, y), kind) if y else 0 for x, y in zip(a.tolist(), b.tolist())]
    np.testing.assert_array_equal(got, np.array(want, kind))


@pytest.mark.parametrize("operation", ["floordiv", "floormod"])
def test_scalar_division_is_pythons(library, operation):
    function = getattr(library, f"{operation}_scalar")
    function.restype, function.argtypes = ctypes.c_int64, [ctypes.c_int64] * 2
    python = int.__floordiv__ if operation == "floordiv" else int.__mod__
    for x, y in zip(*integers(I64, 200).tolist()):
        assert function(x, y) == (wrapped(python(x, y), I64) if y else 0), (x, y)


def mask(condition: np.ndarray) -> np.ndarray:
    return -condition.astype(I64)


WIDE = {
    "add": lambda a, b, s: a + b,
    "subtract": lambda a, b, s: a - b,
    "multiply": lambda a, b, s: a * b,
    "from_scalar": lambda a, b, s: s - a,
    "to_scalar": lambda a, b, s: a * s,
    "less": lambda a, b, s: mask(a < b),
    "less_equal": lambda a, b, s: mask(a <= b),
    "equal": lambda a, b, s: mask(a == b),
    "unequal": lambda a, b, s: mask(a != s),
    "above": lambda a, b, s: mask(s > a),
    "both": lambda a, b, s: mask((a < b) & (a < s)),
    "either": lambda a, b, s: mask((a < b) | (a < s)),
    "negate": lambda a, b, s: -a,
    "invert": lambda a, b, s: ~a,
    "magnitude": lambda a, b, s: np.abs(a),
    "larger": lambda a, b, s: np.maximum(a, b),
    "smaller": lambda a, b, s: np.minimum(a, b),
    "choose": lambda a, b, s: np.where(a < b, a, b),
    "choose_narrow": lambda a, b, s: np.where(a < b, a, b),
    "count": lambda a, b, s: np.arange(a.size) + s,
    "constant": lambda a, b, s: np.full_like(a, s),
    "round_trip": lambda a, b, s: a.astype(I32).astype(I64),
    "assigned": lambda a, b, s: (a + b - s) * b,
}


@pytest.mark.parametrize("name", WIDE)
def test_operators_of_64_bit_lanes(library, floats, name):
    for _ in range(20):
        a, b = RANDOM.integers(-9, 9, (2, floats)) * RANDOM.choice([1, 10**5, 10**9], (2, floats))
        got, s = np.empty_like(a), int(RANDOM.integers(-9, 9))
        getattr(library, f"wide_{name}")(pointer(a), pointer(b), ctypes.c_int64(s), pointer(got))
        np.testing.assert_array_equal(got, WIDE[name](a, b, s))


@pytest.mark.parametrize("name, kind", [("wide", I64), ("f", np.float32), ("d", np.float64)])
def test_any_and_all(library, floats, name, kind):
    lanes = floats // 2 if name == "d" else floats
    for chosen in [[], list(range(lanes)), *[[i] for i in range(lanes)], *[list(range(i)) for i in range(lanes)]]:
        values = np.zeros(lanes, kind)
        values[chosen] = 3
        assert getattr(library, f"any_{name}")(pointer(values)) == values.any()
        assert getattr(library, f"all_{name}")(pointer(values)) == values.all()


@pytest.mark.parametrize("name, kind", [("f", np.float32), ("d", np.float64)])
def test_select(library, floats, name, kind):
    lanes = floats // 2 if name == "d" else floats
    chosen, (a, b) = RANDOM.integers(0, 2, lanes), RANDOM.normal(size=(2, lanes)).astype(kind)
    got = np.empty_like(a)
    getattr(library, f"select_{name}")(pointer(chosen), pointer(a), pointer(b), pointer(got))
    np.testing.assert_array_equal(got, np.where(chosen, a, b))


CONVERSIONS = {
    "floats_of_ints": (I32, np.float32, 1, 2**31),
    "floats_of_longs": (I64, np.float32, 1, 2**62),
    "doubles_of_longs": (I64, np.float64, 2, 2**62),
    "ints_of_floats": (np.float32, I32, 1, 2**30),
    "longs_of_floats": (np.float32, I64, 1, 2**62),
    "longs_of_doubles": (np.float64, I64, 2, 2**62),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions_round_to_nearest_or_truncate(library, floats, name):
    source, result, halves, size = CONVERSIONS[name]
    for scale in [5.5, 1e6, float(size)]:
        values = RANDOM.uniform(-scale, scale, floats // halves).astype(source)
        got = np.empty(values.size, result)
        getattr(library, name)(pointer(values), pointer(got))
        np.testing.assert_array_equal(got, values.astype(result))


def test_iota(library, floats):
    narrow, wide = np.empty(floats, I32), np.empty(floats // 2, I64)
    library.iota_f(pointer(narrow))
    library.iota_d(pointer(wide))
    assert narrow.tolist() == list(range(floats)) and wide.tolist() == list(range(floats // 2))


def folded(values: np.ndarray, fold) -> np.ndarray:
    while values.size > 1:
        values = fold(values[: values.size // 2], values[values.size // 2 :])
    return values[0]


REDUCTIONS = {"hsum": np.add, "hprod": np.multiply, "hmax": np.maximum, "hmin": np.minimum}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("suffix, kind", [("f", np.float32), ("d", np.float64)])
def test_reductions_fold_halves(library, floats, name, suffix, kind):
    function = getattr(library, f"{name}_{suffix}")
    function.restype = ctypes.c_float if suffix == "f" else ctypes.c_double
    for special in [None, np.nan, np.inf, -np.inf]:
        values = RANDOM.normal(size=floats // (1 + (suffix == "d"))).astype(kind)
        if special is not None:
            values[RANDOM.integers(values.size)] = special
        np.testing.assert_array_equal(kind(function(pointer(values))), folded(values, REDUCTIONS[name]))
