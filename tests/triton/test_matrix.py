"""Kernels compiled for every architecture: the committed table is whole, of today's sources, and nowhere red."""

import pytest

from benchmarks.matrix import Item, digest_of, items, known_table, red

from .compiling import rows_of
from .workers import run

SAMPLE = [Item("causal", backward, target, 64) for target in ("sm_90", "gfx942") for backward in (False, True)]


@pytest.fixture(scope="module")
def table():
    return known_table()


def test_no_cell_is_red(table):
    assert table and not red(table)


def test_nothing_else_is_there(table):
    assert set(table) <= {item.name for item in items()}


@pytest.mark.xdist_group("compiler")
def test_what_the_table_does_not_hold(table):
    """Sources that changed since, or are new, are compiled; 'make matrix' puts them there."""
    missing = [item for item in items() if table.get(item.name, {}).get("digest") != digest_of(item)]
    found = {item.name: {"rows": run("compiler", rows_of, item)} for item in missing}
    assert not red(found)


@pytest.mark.xdist_group("compiler")
@pytest.mark.parametrize("item", SAMPLE, ids=lambda item: item.name)
def test_cells_come_out_the_same_again(table, item):
    if table[item.name]["digest"] == digest_of(item):
        assert run("compiler", rows_of, item) == table[item.name]["rows"]


@pytest.mark.parametrize("kernels, registers", [(2, 4), (3, 5)])
def test_a_red_cell_is_seen(table, kernels, registers):
    """A spill anywhere in the table counts."""
    name = list(table)[registers]
    spilled = {name: {"rows": [{**row, "faults": ["spills 8 bytes"]} for row in table[name]["rows"][:kernels]]}}
    assert len(red({**table, **spilled})) == min(kernels, len(table[name]["rows"]))
