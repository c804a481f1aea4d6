"""Converting loads and stores: every bit pattern of the narrow floats, every storage type, nothing else touched."""

import ctypes
import mmap

import numpy as np
import pytest
import torch

TYPES = {"f": torch.float32, "d": torch.float64}
FLOATS = {"float": torch.float32, "double": torch.float64, "bf16": torch.bfloat16, "f16": torch.float16}
INTEGERS = {
    "int8": torch.int8, "int16": torch.int16, "int32": torch.int32, "int64": torch.int64, "uint8": torch.uint8,
    "bool": torch.bool,
}  # fmt: skip
STORAGE = FLOATS | INTEGERS


@pytest.fixture
def library(drivers, target):
    return drivers.load("storage", target)


def lanes(library, suffix: str) -> int:
    return library.vector_bytes() // (4 if suffix == "f" else 8)


def call(library, name: str, *arguments) -> None:
    """Tensors are passed by address and numbers as int64_t."""
    getattr(library, name)(
        *(ctypes.c_void_p(a.data_ptr()) if isinstance(a, torch.Tensor) else ctypes.c_int64(a) for a in arguments)
    )


def patterns(kind: torch.dtype) -> torch.Tensor:
    return torch.arange(1 << 16, dtype=torch.int32).to(torch.int16).view(kind)


def assert_same(got: torch.Tensor, want: torch.Tensor) -> None:
    """Equal with their signs, but that one NaN is as good as another."""
    nan = want != want
    assert torch.equal(got != got, nan)
    got, want = got.masked_fill(nan, 0), want.masked_fill(nan, 0)
    assert torch.equal(got, want) and torch.equal(got.signbit(), want.signbit())


@pytest.mark.parametrize("kind", ["bf16", "f16"])
@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("form", ["load_as", "widen"])
def test_widening_every_pattern(library, suffix, kind, form):
    source = patterns(FLOATS[kind])
    got = torch.empty(source.numel(), dtype=TYPES[suffix])
    call(library, f"{form}_{suffix}_{kind}", source, got, source.numel())
    assert_same(got, source.to(TYPES[suffix]))


def to_narrow(kind: torch.dtype) -> torch.Tensor:
    """Every value of a narrow type, every tie between two of them and the floats beside those, and random floats."""
    every = patterns(kind).float()
    ties = (every.double() + torch.roll(every, -1).double()).div(2).float()
    random = torch.from_numpy(np.random.default_rng(3).integers(0, 2**32, 1 << 17, dtype=np.uint32).view(np.float32))
    beside = [torch.nextafter(ties, torch.tensor(limit)) for limit in (torch.inf, -torch.inf)]
    quiet_and_not = torch.tensor([0x7FC00000, 0x7F800001, -0x400000, -0x7FFFFF], dtype=torch.int32).view(torch.float32)
    return torch.cat([every, ties, *beside, random, quiet_and_not.repeat(4)])


@pytest.mark.parametrize("kind", ["bf16", "f16"])
@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("form", ["store_as", "narrow"])
def test_narrowing_rounds_to_nearest_even(library, suffix, kind, form):
    source = to_narrow(FLOATS[kind]).to(TYPES[suffix])
    got = torch.empty(source.numel(), dtype=FLOATS[kind])
    call(library, f"{form}_{suffix}_{kind}", got, source, source.numel())
    assert_same(got, source.to(FLOATS[kind]))


def sample(kind: torch.dtype, count: int) -> torch.Tensor:
    if kind.is_floating_point:
        return torch.randn(count, dtype=torch.float64).to(kind)
    if kind == torch.bool:
        return torch.randint(0, 2, (count,)).bool()
    info = torch.iinfo(kind)
    return torch.randint(max(info.min, -(2**62)), min(info.max, 2**62), (count,)).to(kind)


@pytest.mark.parametrize("kind", STORAGE)
@pytest.mark.parametrize("suffix", TYPES)
def test_every_storage_type(library, suffix, kind):
    source = sample(STORAGE[kind], 160)
    for form in ("load_as", "widen"):
        got = torch.empty(160, dtype=TYPES[suffix])
        call(library, f"{form}_{suffix}_{kind}", source, got, 160)
        assert_same(got, source.to(TYPES[suffix]))
    values = torch.randint(0, 100, (160,)).to(TYPES[suffix]) + (0.75 if kind in FLOATS else 0)
    for form in ("store_as", "narrow"):
        stored = torch.empty(160, dtype=STORAGE[kind])
        call(library, f"{form}_{suffix}_{kind}", stored, values, 160)
        assert_same(stored, values.to(STORAGE[kind]))


def test_any_byte_but_zero_is_true(library):
    source, got = torch.arange(256, dtype=torch.uint8), torch.empty(256)
    call(library, "load_as_f_bool", source, got, 256)
    assert torch.equal(got, (source != 0).float())


@pytest.mark.parametrize("kind", STORAGE)
@pytest.mark.parametrize("suffix", TYPES)
def test_strided(library, suffix, kind):
    n = lanes(library, suffix)
    for stride in (0, 1, 2, 7):
        source, got = sample(STORAGE[kind], 7 * n), torch.empty(n, dtype=TYPES[suffix])
        call(library, f"load_strided_{suffix}_{kind}", source, stride, got)
        assert_same(got, torch.as_strided(source, (n,), (stride,)).to(TYPES[suffix]))
        if stride:
            place, values = torch.zeros(7 * n, dtype=STORAGE[kind]), torch.arange(n, dtype=TYPES[suffix])
            call(library, f"store_strided_{suffix}_{kind}", place, stride, values)
            want = torch.zeros_like(place)
            torch.as_strided(want, (n,), (stride,)).copy_(values)
            assert torch.equal(place, want)


class Guarded:
    """Memory that ends where no access is allowed: touching anything after it ends the process."""

    def __init__(self) -> None:
        page = mmap.PAGESIZE
        self.map = mmap.mmap(-1, 2 * page)
        self.end = ctypes.addressof(ctypes.c_char.from_buffer(self.map)) + page
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(self.end), ctypes.c_size_t(page), 0) == 0
        self.bytes = torch.frombuffer(self.map, dtype=torch.uint8)[:page]

    def last(self, count: int, kind: torch.dtype) -> tuple[torch.Tensor, ctypes.c_void_p]:
        """The last elements and their address."""
        size = count * kind.itemsize
        return self.bytes[self.bytes.numel() - size :].view(kind), ctypes.c_void_p(self.end - size)


@pytest.fixture(scope="module")
def guarded() -> Guarded:
    return Guarded()


@pytest.mark.parametrize("kind", STORAGE)
@pytest.mark.parametrize("suffix", TYPES)
def test_the_first_few(library, guarded, suffix, kind):
    n = lanes(library, suffix)
    load, store = (getattr(library, f"{form}_first_{suffix}_{kind}") for form in ("load", "store"))
    for count in range(n + 1):
        place, address = guarded.last(count, STORAGE[kind])
        place.copy_(sample(STORAGE[kind], count))
        want, got = torch.zeros(n, dtype=TYPES[suffix]), torch.full((n,), 7.0, dtype=TYPES[suffix])
        want[:count] = place.to(TYPES[suffix])
        load(address, ctypes.c_int64(count), ctypes.c_void_p(got.data_ptr()))
        assert_same(got, want)
        values = torch.arange(1, n + 1, dtype=TYPES[suffix])
        store(address, ctypes.c_int64(count), ctypes.c_void_p(values.data_ptr()))
        assert torch.equal(place, values[:count].to(STORAGE[kind]))


@pytest.mark.parametrize("kind", STORAGE)
@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("form", ["gather", "gather_narrow"])
def test_gathers_leave_masked_lanes_alone(library, suffix, kind, form):
    n = lanes(library, suffix)
    source = sample(STORAGE[kind], 100)
    for _ in range(10):
        offsets, mask = torch.randint(0, 100, (n,)), torch.randint(0, 2, (n,))
        wild = torch.where(mask.bool(), offsets, 1 << 44)  # an address that nothing is at
        got = torch.full((n,), 7.0, dtype=TYPES[suffix])
        call(library, f"{form}_{suffix}_{kind}", source, wild, mask, got)
        assert_same(got, torch.where(mask.bool(), source[offsets], torch.zeros_like(source[:1])).to(TYPES[suffix]))


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("suffix", TYPES)
def test_integer_loads(library, suffix, kind):
    n = lanes(library, suffix)
    source, got = sample(INTEGERS[kind], n), torch.empty(n, dtype=torch.int64)
    call(library, f"load_longs_{suffix}_{kind}", source, got)
    assert torch.equal(got, source.long())
    narrow = torch.empty(n, dtype=torch.int32 if suffix == "f" else torch.int64)
    call(library, f"load_ints_{suffix}_{kind}", source, narrow)
    assert torch.equal(narrow, source.long().to(narrow.dtype))
    for count in range(n + 1):
        call(library, f"load_longs_first_{suffix}_{kind}", source, count, got)
        assert torch.equal(got, torch.where(torch.arange(n) < count, source.long(), 0))
    offsets, mask = torch.randint(0, n, (n,)), torch.randint(0, 2, (n,))
    call(library, f"gather_longs_{suffix}_{kind}", source, torch.where(mask.bool(), offsets, -(1 << 44)), mask, got)
    assert torch.equal(got, torch.where(mask.bool(), source[offsets].long(), 0))
