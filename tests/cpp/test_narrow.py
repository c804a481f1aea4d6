"""Products of bfloat16 factors against float64, from plain matrices of any size."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import instruction_sets


@pytest.fixture(params=[*instruction_sets(), "tiles"])
def target(request):
    return request.param


counts = st.integers(1, 20) | st.sampled_from([33, 64, 96])
depths = st.integers(1, 40) | st.sampled_from([63, 64, 65, 128])
seeds = st.integers(0, 99)
often = settings(max_examples=60, deadline=None, database=None)


def narrow(x: np.ndarray) -> np.ndarray:
    """Floats that are bfloat16 numbers."""
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


def stored(x: np.ndarray) -> np.ndarray:
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def pointers(*arguments):
    return [x.ctypes.data_as(ctypes.c_void_p) if isinstance(x, np.ndarray) else ctypes.c_int64(x) for x in arguments]


def padded(x: np.ndarray, width: int, junk: float = np.nan) -> np.ndarray:
    """The same rows in longer ones, whose rest is not to be read."""
    whole = np.full((len(x), width), junk, np.float32)
    whole[:, : x.shape[1]] = x
    return whole


def assert_near(found: np.ndarray, a: np.ndarray, b: np.ndarray, extra: np.ndarray | float = 0.0) -> None:
    want = a.astype(np.float64) @ b.astype(np.float64) + extra
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) + np.abs(extra)
    assert (np.abs(found - want) <= (a.shape[1] + 4) * 1.2e-7 * size).all()


def test_scores(drivers, target):
    library = drivers.load("narrow", target)

    @often
    @given(counts, st.integers(1, 256), st.integers(0, 8), depths, st.sampled_from([0, 1, 2]), st.booleans(), seeds)
    def check(m, end, skipped, k, gap, is_strided, seed):
        random = np.random.default_rng(seed)
        begin = min(16 * skipped, (end - 1) // 16 * 16)
        a, b = narrow(random.normal(size=(m, k))), narrow(random.normal(size=(end, k)))
        lda, inner = -(-k // 16) * 16, 2 if is_strided else 1
        step = inner * k + gap
        source = np.full((end, step), 0x7FC0, np.uint16)
        source[:, : inner * k : inner] = stored(b)
        c = np.full((m, 272), np.nan, np.float32)
        library.scores(*pointers(m, begin, end, k, padded(a, lda), lda, source, step, inner, c))
        assert_near(c[:, begin:end], a, b[begin:].T)

    check()


def test_what_is_computed_is_rounded(drivers, target):
    library = drivers.load("narrow", target)
    random = np.random.default_rng(3)
    a, b = random.normal(size=(9, 21)).astype(np.float32), random.normal(size=(40, 21)).astype(np.float32)
    c = np.empty((9, 272), np.float32)
    library.scores_of_floats(*pointers(9, 40, 21, padded(a, 32), 32, b, c))
    error = np.abs(c[:, :40] - a.astype(np.float64) @ b.T.astype(np.float64))
    size = np.abs(a) @ np.abs(b).T
    assert (error <= (2.1 * 2**-9 if library.has_pairs() else 1e-6) * size).all()
    assert library.has_pairs() == bool((error > 1e-4 * size).any())


@pytest.mark.parametrize("columns", [16, 64, 80])
def test_sums_over_columns(drivers, target, columns):
    library = drivers.load("narrow", target)

    @often
    @given(counts, depths, seeds)
    def check(m, k, seed):
        random = np.random.default_rng(seed)
        width = columns - seed % 5
        a, b = narrow(random.normal(size=(m, k))), narrow(random.normal(size=(k, width)))
        lda, c = -(-k // 16) * 16, random.normal(size=(m, columns)).astype(np.float32)
        before = c.astype(np.float64)
        library.product_of(ctypes.c_int(columns), *pointers(m, k, padded(a, lda, 0.0), lda, stored(b), width, c))
        assert_near(c[:, :width], a, b, before[:, :width])
        np.testing.assert_array_equal(c[:, width:], before[:, width:])

    check()


def test_nothing_is_read_after_an_odd_count(drivers, target):
    """The second of the last pair may be anything in memory."""
    library = drivers.load("narrow", target)
    a, b = np.ones((5, 16), np.float32), np.ones((8, 16), np.float32)
    b[7] = np.nan
    c = np.zeros((5, 16), np.float32)
    library.product_of(ctypes.c_int(16), *pointers(5, 7, a, 16, stored(b), 16, c))
    np.testing.assert_array_equal(c, 7)


@pytest.mark.parametrize("columns", [16, 64, 80])
def test_sums_over_rows(drivers, target, columns):
    library = drivers.load("narrow", target)

    @often
    @given(counts, st.integers(1, 112), st.integers(0, 3), seeds)
    def check(rows, end, skipped, seed):
        random = np.random.default_rng(seed)
        begin = min(16 * skipped, (end - 1) // 16 * 16)
        width = columns - seed % 5
        a, b = narrow(random.normal(size=(rows, end))), narrow(random.normal(size=(rows, width)))
        c = random.normal(size=(end - begin, columns)).astype(np.float32)
        before = c.astype(np.float64)
        given = (begin, end, rows, padded(a, 112, 0.0), 112, stored(b), width, c)
        library.turned_of(ctypes.c_int(columns), *pointers(*given))
        assert_near(c[:, :width], a[:, begin:].T, b, before[:, :width])

    check()


@pytest.mark.parametrize("kind", ["bfloat16", "float32"])
def test_few_rows_with_columns_in_place(drivers, target, kind):
    library = drivers.load("narrow", target)

    @often
    @given(st.integers(1, 4), st.integers(1, 50), st.integers(1, 150), seeds)
    def check(rows, end, width, seed):
        random = np.random.default_rng(seed)
        a, b = narrow(random.normal(size=(rows, width))), narrow(random.normal(size=(end, width)))
        lda, c = -(-width // 16) * 16, np.full((rows, 80), np.nan, np.float32)
        function = library.dots if kind == "bfloat16" else library.dots_of_floats
        function(
            *pointers(rows, 0, end, width, padded(a, lda), lda, stored(b) if kind == "bfloat16" else b, width, c, 80)
        )
        assert_near(c[:, :end], a, b.T)
        assert np.isnan(c[:, end:]).all()

    check()


@pytest.mark.parametrize("width", [7, 64, 150])
def test_few_rows_with_values_in_place(drivers, target, width):
    library = drivers.load("narrow", target)
    for rows in range(1, 5):
        random = np.random.default_rng(rows)
        a, b = random.normal(size=(rows, 37)).astype(np.float32), narrow(random.normal(size=(37, width)))
        c = np.zeros((rows, 160), np.float32)
        library.mix(ctypes.c_int(width), *pointers(rows, 37, a, 37, stored(b), c, 160))
        assert_near(c[:, :width], a, b)
