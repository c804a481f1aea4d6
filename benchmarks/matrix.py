"""`make matrix`: kernels compiled for every architecture without a GPU, and what each takes: benchmarks/results/aot.md.

A cell that was compiled before from the same source, by the same Triton, is not compiled again; tests hold the table
against today's sources and let no cell be red.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
TABLE = _ROOT / "benchmarks" / "results" / "aot.json"
REPORT = TABLE.with_suffix(".md")
TARGETS = ("sm_80", "sm_90", "sm_100", "sm_120", "gfx942", "gfx950")
WIDTHS = (64, 96, 128, 192, 256)
EXAMPLE_TARGETS = ("sm_90", "gfx942")
EXAMPLE_WIDTHS = (64, 128)
_LENGTH, _HEADS = 8192, 16

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One module of kernels: an example, forward or backward, for one architecture and width, in bfloat16."""

    spec: str
    backward: bool
    target: str
    width: int

    @property
    def name(self) -> str:
        return f"{self.spec} {'backward' if self.backward else 'forward'} D{self.width} {self.target}"


def items() -> Iterator[Item]:
    """The whole matrix."""
    examples = list(_examples())
    for spec in ("causal", "cross"):
        for target in TARGETS:
            yield from (Item(spec, backward, target, width) for width in WIDTHS for backward in (False, True))
    for spec in examples:
        for target in EXAMPLE_TARGETS:
            for width in EXAMPLE_WIDTHS:
                if spec not in ("causal", "cross"):
                    yield from (Item(spec, backward, target, width) for backward in (False, True))


@cache
def _examples() -> dict[str, Any]:
    """Every attention of the examples by its name."""
    import attnc
    from attnc.spec import Attention

    found: dict[str, Any] = {}
    for path in sorted((_ROOT / "examples").glob("*.attn")):
        loaded = attnc.load(path)
        found |= {loaded.name: loaded} if isinstance(loaded, Attention) else dict(loaded)
    return found


def digest_of(item: Item) -> str:
    """Changes with the generated kernels, what chooses their blocks, and the installed Triton; not with comments."""
    from importlib.metadata import version

    from attnc.runtime.cache import digest
    from attnc.runtime.triton import choices, limits

    source = _source(item)
    lines = [line for line in source.text.split("\n") if not line.startswith("#")]
    parts = [Path(str(module.__file__)).read_text() for module in (choices, limits)]
    pairs = [sorted(launch.pair_tensors) for launch in source.launches]
    parts += [repr(pairs)] if any(pairs) else []
    return digest("\n".join(lines), item.target, version("triton"), *parts)


def _source(item: Item) -> Any:
    from attnc.runtime.show import sample_request, wanted
    from attnc.runtime.triton.kernels import triton_source
    from attnc.runtime.triton.limits import ARCHITECTURES

    derivation = _examples()[item.spec].derivation()
    request = sample_request(derivation, "bfloat16", item.width, wanted(derivation))
    return triton_source(derivation, request, item.backward, ARCHITECTURES[item.target].splits_widths)[0]


def compile_item(item: Item) -> list[Row]:
    """The rows of one module, each kernel with the best of its candidates."""
    from attnc.runtime.triton.ahead import cells_of
    from attnc.runtime.triton.limits import ARCHITECTURES

    direction = "backward" if item.backward else "forward"
    cells = cells_of(_source(item), direction, ARCHITECTURES[item.target])
    return [{**cell.row(), **floor(cell.launch.products, item)} for cell in cells]


def floor(products: int, item: Item) -> Row:
    """Microseconds that matrix products, exponentials and memory take at least at 8192 tokens and 16 heads, all pairs;
    what takes longest limits the kernel."""
    from attnc.runtime.triton.limits import ARCHITECTURES

    machine, pairs = ARCHITECTURES[item.target], _HEADS * _LENGTH * _LENGTH
    if not products:
        return {}
    times = {
        "products": products * 2 * pairs * item.width / machine.peak / 1e6,
        "exponentials": pairs / (machine.exponentials * machine.units * machine.clock * 1e3),
        "memory": (products + 2) * 2 * _HEADS * _LENGTH * item.width / machine.bandwidth / 1e6,
    }
    return {"floor": {name: round(time, 1) for name, time in times.items()}, "limit": max(times, key=times.__getitem__)}


def known_table() -> dict[str, Any]:
    return json.loads(TABLE.read_text()) if TABLE.exists() else {}


def refresh(workers: int) -> dict[str, Any]:
    """The table with every cell compiled whose source is new."""
    known = known_table()
    digests = {item: digest_of(item) for item in items()}
    waiting = [item for item in digests if known.get(item.name, {}).get("digest") != digests[item]]
    table = {item.name: known[item.name] for item in digests if item not in waiting}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for item, rows in zip(waiting, pool.map(compile_item, waiting)):
            table[item.name] = {"digest": digests[item], "rows": rows}
            print(item.name, _summary(rows), flush=True)
            TABLE.write_text(json.dumps(table, indent=0) + "\n")
    return {item.name: table[item.name] for item in items()}


def _summary(rows: list[Row]) -> str:
    return ", ".join(f"{row['kernel']} {row['choice']} {'; '.join(row['faults']) or 'ok'}" for row in rows)


def red(table: dict[str, Any]) -> list[str]:
    """Cells with a fault."""
    return [
        f"{name} {row['kernel']}: {'; '.join(row['faults'])}"
        for name, cell in table.items()
        for row in cell["rows"]
        if row["faults"]
    ]


def report(table: dict[str, Any], version: str) -> str:
    """The table for readers."""
    count = sum(len(cell["rows"]) for cell in table.values())
    lines = ["# Kernels compiled ahead of time", ""]
    lines += [f"bfloat16, by Triton {version}, without a GPU: {count} kernels, {len(red(table))} red.", ""]
    lines += [
        "Blocks are rows x columns, w warps, s stages. The floor is the least time in microseconds that matrix "
        "products, exponentials and memory each take for 8192 tokens and 16 heads with all pairs, by the data sheet's "
        "peaks; the largest limits the kernel. Nothing here was timed.",
        "",
        "| module | kernel | blocks | registers | spilled | shared | matrix instructions | floor | limit | faults |",
        "|---|---|---|---:|---:|---:|---|---|---|---|",
    ]
    for name, cell in table.items():
        lines += [_line(name, row) for row in cell["rows"]]
    return "\n".join(lines) + "\n"


def _line(name: str, row: Row) -> str:
    from attnc.runtime.triton.ahead import _short

    floor = " / ".join(str(time) for time in row.get("floor", {}).values()) or "-"
    matrix = ", ".join(map(_short, row["matrix"])) or "-"
    cells = [name, row["kernel"], row["choice"], row["registers"], row["spilled"], row["shared"], matrix, floor]
    return "| " + " | ".join(map(str, [*cells, row.get("limit", "memory"), "; ".join(row["faults"]) or "none"])) + " |"


def main() -> int:
    from importlib.metadata import version

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    table = refresh(parser.parse_args().workers)
    TABLE.write_text(json.dumps(table, indent=0) + "\n")
    REPORT.write_text(report(table, version("triton")))
    for line in red(table):
        print("RED", line)
    return 1 if red(table) else 0


if __name__ == "__main__":
    raise SystemExit(main())
