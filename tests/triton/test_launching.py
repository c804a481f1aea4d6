"""The launcher without a GPU: grids, arguments and strides of each kernel, and that no length ever compiles anew."""

from .launching import compilations, launches_of, variants
from .workers import run

CAUSAL = "attention causal\nmask j <= i\n"
WINDOWED = """\
attention windowed(width: int = 32, slope: float = 0.5)
score s = q[i] @ k[j] / sqrt(D) + slope * (j - i)
mask i - j < width and j <= i
"""


def test_grid_and_arguments():
    """Sizes, strides and block sizes arrive where the kernel's signature has them."""
    shapes = [(2, 4, 300, 64), (2, 2, 300, 64), (2, 2, 300, 64)]
    ((name, grid, stream, signature, rest, count),) = run("compiler", launches_of, CAUSAL, shapes)
    assert name == "stage0" and stream == 7 and count == len(signature)
    values = dict(zip([key for key, type in signature.items() if not type.startswith("*")], rest))
    assert values["n_N"] == 300 and values["n_H"] == 4 and values["n_G"] == 2
    assert (values["q_stride0"], values["q_stride1"], values["q_stride2"]) == (4 * 300 * 64, 300 * 64, 64)
    assert (values["k_stride0"], values["v_stride1"]) == (2 * 300 * 64, 300 * 64)
    assert grid == (2 * 4 * -(-300 // values["ROWS"]), 1, 1)
    assert signature["q_ptr"] == "*bf16" and signature["n_N"] == "i32"
    assert signature["q_stride0"] == "i64" and signature["q_stride2"] == "i32"


def test_backward():
    """One kernel for queries, one for what rows sum, one for keys; over heads of keys where these are shared."""
    shapes = [(2, 4, 300, 64), (2, 2, 300, 64), (2, 2, 300, 64)]
    found = run("compiler", launches_of, CAUSAL, shapes, True)
    assert [name.rstrip("0123456789") for name, *_ in found] == ["stage", "pack_packed", "stage"]
    (_, queries, _, signature, rest, _), _, (_, keys, _, other, more, _) = found
    rows = dict(zip([k for k, t in signature.items() if not t.startswith("*")], rest))["ROWS"]
    assert queries == (2 * 4 * -(-300 // rows), 1, 1)
    rows = dict(zip([k for k, t in other.items() if not t.startswith("*")], more))["ROWS"]
    assert keys == (2 * 2 * -(-300 // rows), 1, 1)


def test_no_call_compiles_again():
    """50 lengths, batches, numbers of heads and parameters: as many binaries as after the first."""
    calls = []
    for n in range(50):
        batch, heads, length = 1 + n % 3, (2, 4, 6)[n % 3], 1 + 37 * n % 401
        shape = (batch, heads, length, 64)
        calls.append(([shape] * 3, {"width": 1 + n * 3, "slope": 0.5 + n}))
    counts = run("compiler", compilations, WINDOWED, calls)
    assert counts[0] > 0 and set(counts) == {counts[0]}


def test_variants():
    """A misaligned tensor and rows that lie very far apart have kernels of their own."""
    assert run("compiler", variants, CAUSAL) == [1, 2, 3]
