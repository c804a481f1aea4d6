"""What tests of the rows' claims share."""

import torch

from .rows import rows


def drawn(name, **sizes):
    """A row's spec, its inputs by name and its parameters."""
    row = rows()[name]
    spec = row.load()
    return spec, row.draw(spec, learns=False, **sizes), dict(row.parameters)


def near(found, wanted, by=1e-10):
    torch.testing.assert_close(found, wanted, rtol=by, atol=by)


def differ(found, wanted):
    assert (found - wanted).abs().max() > 1e-3
