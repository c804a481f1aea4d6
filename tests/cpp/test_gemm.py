"""Matrix products against float64, over random shapes, strides, paddings and modes."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TYPES = {"f": np.float32, "d": np.float64}
sizes = st.integers(0, 40) | st.sampled_from([63, 64, 67, 96, 128])
depths = st.integers(0, 40) | st.sampled_from([95, 96, 97, 128, 200])
paddings = st.integers(0, 5)
widths = st.integers(0, 11) | st.sampled_from([16, 17, 64])  # in vectors


def strided(random: np.random.Generator, rows: int, cols: int, layout: str, padding: int, kind: type) -> np.ndarray:
    """A matrix whose rows or columns are contiguous, or neither, or that repeats one row or one column."""
    long, short = max(rows, 1), max(cols, 1)
    if layout == "rows":
        return random.normal(size=(long, short + padding)).astype(kind)[:rows, :cols]
    if layout == "columns":
        return random.normal(size=(short, long + padding)).astype(kind).T[:rows, :cols]
    if layout == "strided":
        return random.normal(size=(2 * long, 3 * short)).astype(kind)[::2, ::3][:rows, :cols]
    if layout == "same row":
        return np.broadcast_to(random.normal(size=(1, short)).astype(kind), (long, short))[:rows, :cols]
    return np.broadcast_to(random.normal(size=(long, 1)).astype(kind), (long, short))[:rows, :cols]


layouts = st.sampled_from(["rows", "columns", "strided", "same row", "same column"])


def multiply(function, a: np.ndarray, b: np.ndarray, c: np.ndarray, last) -> None:
    """C of the last arguments, whose rows are contiguous, as those of B are."""
    pointer = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]
    number = [ctypes.c_int64(n) for n in (*c.shape, b.shape[0], *a.strides, b.strides[0], c.strides[0])]
    m, n, k, a_row, a_col, ldb, ldc = (ctypes.c_int64(x.value) for x in number)
    for stride in (a_row, a_col, ldb, ldc):
        stride.value //= a.itemsize
    function(m, n, k, pointer[0], a_row, a_col, pointer[1], ldb, pointer[2], ldc, last)


def bound(a: np.ndarray, b: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Of any order of summing up, with a rounding for each product and each sum."""
    magnitude = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) + extra
    return (a.shape[1] + 4) * np.finfo(a.dtype).eps * magnitude


def operands(random, m, n, k, layout, padding, kind):
    a = strided(random, m, k, layout, padding, kind)
    b = random.normal(size=(max(k, 1), n + padding)).astype(kind)[:k, :n]
    whole = random.normal(size=(max(m, 1), n + padding)).astype(kind)
    return a, b, whole, whole[:m, :n]


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("mode", ["overwrite", "accumulate", "scale", "no scale"])
def test_products(drivers, target, suffix, mode):
    library, kind = drivers.load("tiles", target), TYPES[suffix]
    lanes = library.vector_bytes() // np.dtype(kind).itemsize
    function = getattr(library, f"gemm_{'scaled_' * ('scale' in mode)}{suffix}")

    @settings(max_examples=60, deadline=None, database=None)
    @given(sizes, widths, depths, layouts, paddings, st.integers(0, 99))
    def check(m, vectors, k, layout, padding, seed):
        random = np.random.default_rng(seed)
        a, b, whole, c = operands(random, m, vectors * lanes, k, layout, padding, kind)
        scale = random.normal(size=max(m, 1)).astype(kind)
        rows = scale[:m, None].astype(np.float64) if mode == "scale" else 1.0
        start = 0.0 if mode == "overwrite" else rows * c.astype(np.float64)
        if mode == "overwrite":
            c[:] = np.nan
        before = whole.copy()
        want = start + a.astype(np.float64) @ b.astype(np.float64)
        null = ctypes.c_void_p(scale.ctypes.data if mode == "scale" else None)
        multiply(function, a, b, c, null if "scale" in mode else ctypes.c_int(mode == "accumulate"))
        assert (np.abs(c - want) <= bound(a, b, np.abs(start))).all()
        whole[:m, : c.shape[1]] = before[:m, : c.shape[1]] = 0
        np.testing.assert_array_equal(whole, before)  # nothing beside C was written

    check()


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("n", [16, 80, 128])
def test_fixed_columns_give_the_same_numbers(drivers, target, suffix, n):
    library, kind = drivers.load("tiles", target), TYPES[suffix]
    random = np.random.default_rng(5)
    for m, k in [(1, 8), (7, 33), (64, 64), (13, 300)]:
        a, b, _, c = operands(random, m, n, k, "rows", 3, kind)
        other = c.copy()
        multiply(getattr(library, f"gemm_{suffix}"), a, b, c, ctypes.c_int(1))
        multiply(getattr(library, f"gemm_fixed_{suffix}"), a, b, other, ctypes.c_int(1))
        np.testing.assert_array_equal(c, other)


@pytest.mark.parametrize("suffix", TYPES)
def test_a_row_does_not_depend_on_its_neighbours(drivers, target, suffix):
    library, kind = drivers.load("tiles", target), TYPES[suffix]
    random = np.random.default_rng(6)
    a, b, _, c = operands(random, 29, 96, 70, "rows", 0, kind)
    function = getattr(library, f"gemm_{suffix}")
    multiply(function, a, b, c, ctypes.c_int(0))
    for i in range(29):
        alone = np.empty_like(c[:1])
        multiply(function, a[i : i + 1], b, alone, ctypes.c_int(0))
        np.testing.assert_array_equal(alone[0], c[i])


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values_reach_their_row_and_column_only(drivers, target, suffix, special):
    library, kind = drivers.load("tiles", target), TYPES[suffix]
    a, b, c = np.ones((20, 40), kind), np.ones((40, 64), kind), np.empty((20, 64), kind)
    a[3, 7], b[5, 11] = special, special
    multiply(getattr(library, f"gemm_{suffix}"), a, b, c, ctypes.c_int(0))
    np.testing.assert_array_equal(c, a @ b)
