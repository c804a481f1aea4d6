"""Every row of the catalogue that is a spec, against its dense computation in float64: results and every gradient.

A seventh of them, another one each day, is also run in Triton's interpreter, against the spec's dense meaning;
ATTNC_CATALOGUE_DAY chooses the part.
"""

import os
import zlib
from datetime import date

import pytest
import torch

from ..triton.interpreting import errors_of
from ..triton.workers import run
from .rows import rows

NAMES = list(rows())
_PARTS = 7
_DAY = int(os.environ.get("ATTNC_CATALOGUE_DAY", date.today().toordinal())) % _PARTS


def as_tuple(found):
    return found if isinstance(found, tuple) else (found,)


def gradients(results, inputs):
    """Of the results weighted at random, in those inputs that learn; zeros where a result does not depend on one."""
    random = torch.Generator().manual_seed(1)
    weighted = [
        (r * torch.randn(r.shape, generator=random, dtype=torch.float64)).sum()
        for r in results
        if r.is_floating_point() and r.requires_grad
    ]
    learned = [x for x in inputs.values() if x.requires_grad]
    if not weighted or not learned:
        return []
    return torch.autograd.grad(sum(weighted), learned, allow_unused=True, materialize_grads=True)


def assert_near(found, wanted, what):
    """Integers exactly; floats within 1e-9 of the largest number, and infinities where they should be."""
    assert found.shape == wanted.shape, f"{what}: {tuple(found.shape)}, not {tuple(wanted.shape)}"
    if not wanted.is_floating_point():
        assert torch.equal(found.to(wanted.dtype), wanted), what
        return
    torch.testing.assert_close(
        found, wanted, rtol=1e-9, atol=1e-9 * (1 + largest(wanted)), msg=lambda text: f"{what}: {text}"
    )


def largest(x):
    finite = x[torch.isfinite(x)]
    return float(finite.detach().abs().max()) if finite.numel() else 0.0


@pytest.mark.parametrize("name", NAMES)
def test_dense(name):
    row = rows()[name]
    attention = row.load()
    inputs = row.draw(attention)
    results = as_tuple(attention(**inputs, **row.parameters))
    wanted = as_tuple(row.dense(**inputs, **row.given(attention)))
    names = [output.name for output in attention.card().results]
    assert len(results) == len(wanted) == len(names)
    for label, one, other in zip(names, results, wanted):
        assert_near(one, other, label)
    learned = [label for label, x in inputs.items() if x.requires_grad]
    found, expected = gradients(results, inputs), gradients(wanted, inputs)
    assert len(found) == len(expected)
    for label, one, other in zip(learned, found, expected):
        assert_near(one, other, f"gradient of {label}")


def interpreted(name):
    """In the interpreter's process: the errors of its kernels in float32."""
    row = rows()[name]
    sizes = {"B": 1, "H": 2, "G": 1} if not {"B", "H", "G"} & set(row.sizes) else {}
    return errors_of(row.load(), lambda a: tuple(row.draw(a, torch.float32, **sizes).values()), row.parameters)


@pytest.mark.parametrize("name", [name for name in NAMES if zlib.crc32(name.encode()) % _PARTS == _DAY])
def test_interpreted(name):
    wrong = [error for error in run("interpreter", interpreted, name) if not error[1]]
    assert not wrong, wrong
