"""docs/catalogue.md: a line for each row of the catalogue, and the figures of all."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnc.rows import DONE, FAMILIES, CatalogueRow, catalogue

from .measure import LENGTH, SHORTER, SLOW

ROOT = Path(__file__).resolve().parents[2]
Known = Mapping[str, Mapping[str, Mapping[str, Any]]]
LEVELS = ("easy", "medium", "hard", "out")

_TOP = """\
# The catalogue

Attention mechanisms, systems and pieces of theory of the literature, and which of them are specs. Written by
`python -m benchmarks.catalogue`; [the gallery](catalogue.html) shows a picture of each, offline. `attnc catalogue`
lists, prints and verifies them.

- **checked**: *f* results and *g* every gradient of the CPU kernels against a dense computation in float64, written
  from the paper's formula (`tests/catalogue`); *i* the Triton kernels in its interpreter; *s* what the row claims
  besides, by a test of its own.
- **passes**: over tiles of pairs, forward and backward; what else the compiler chose.
- **lines**: of clauses. **speed**: how many times faster than the dense computation in torch, forward and backward,
  float32, about 2048 tokens, one thread each.
"""


_SLOW = """\
Where the time of kernels goes, by the clock: the stages that take at least 15 % of a call, forward and backward. A pass
goes over tiles of pairs; what in it is no product of matrices is said. Rows that do not end in time at {full} tokens
are timed at {short}, grids at a quarter of their places."""


def write_table(known: Known) -> None:
    parts = [_TOP, _figures(known), _slow(known)]
    for family in FAMILIES:
        rows = [row for row in catalogue() if row.family == family]
        lines = ["| row | level | checked | passes | lines | speed |", "|---|---|---|---|---|---|"]
        lines += [_line(row, known) for row in rows]
        parts.append(f"## {family.capitalize()}\n\n" + "\n".join(lines) + "\n")
    (ROOT / "docs" / "catalogue.md").write_text("\n".join(parts), encoding="utf-8")


def records(row: CatalogueRow, known: Known) -> dict[str, Mapping[str, Mapping[str, Any]]]:
    """What is known of each of a row's attentions."""
    return {name: steps for name, steps in known.items() if name.partition(":")[0] == row.id}


def ratios(row: CatalogueRow, known: Known) -> list[float]:
    return [s["time"]["ratio"] for s in records(row, known).values() if "ratio" in s.get("time", {})]


def checks(row: CatalogueRow, known: Known) -> str:
    found = list(records(row, known).values())
    marks = "fg" if found and all(s.get("verify", {}).get("dense") for s in found) else ""
    marks += "i" if found and all(s.get("interpret", {}).get("interpreted") for s in found) else ""
    return marks + ("s" if row.id in _claims() else "")


def passes(row: CatalogueRow, known: Known) -> str:
    found = []
    for steps in records(row, known).values():
        verify = steps.get("verify", {})
        if "passes" in verify:
            found.append(", ".join([" + ".join(map(str, verify["passes"])), *verify["words"]]))
    return "; ".join(dict.fromkeys(found))


def _claims() -> str:
    return "".join(path.read_text() for path in sorted((ROOT / "tests" / "catalogue").glob("test_claims_*.py")))


def _line(row: CatalogueRow, known: Known) -> str:
    if row.status != DONE:
        return f"| {row.name} (`{row.id}`) | {row.level} | not yet: {row.missing} | | | |"
    speed = " to ".join(f"{r:.1f}" for r in sorted({min(r, 9999.0) for r in _ends(ratios(row, known))}))
    name = f"[{row.name}](../examples/catalogue/{row.id}.attn)"
    cells = (name, row.level, checks(row, known), passes(row, known), row.clauses, speed or _reason(row, known))
    return f"| {' | '.join(map(str, cells))} |"


def _ends(found: list[float]) -> list[float]:
    return [min(found), max(found)] if found else []


def _reason(row: CatalogueRow, known: Known) -> str:
    """Why there is no ratio."""
    for steps in records(row, known).values():
        time = steps.get("time", {})
        if "dense" in time and "milliseconds" in time:
            took = f"{time['milliseconds']['attnc']:g} ms{_size(time)}"
            return f"attnc takes {took}; of the dense computation {time['dense'].removeprefix('it ')}"
        if "reason" in time:
            return str(time["reason"])
    return ""


def _figures(known: Known) -> str:
    lines = ["## Figures", "", "| level | rows | specs | compared with a dense computation |", "|---|---|---|---|"]
    for level in (*LEVELS, "all"):
        rows = [row for row in catalogue() if level in (row.level, "all")]
        done = [row for row in rows if row.status == DONE]
        good = [row for row in done if "f" in checks(row, known)]
        lines.append(f"| {level} | {len(rows)} | {len(done)} | {len(good)} |")
    done = [row for row in catalogue() if row.status == DONE]
    timed = [row for row in done if ratios(row, known)]
    fast = [row for row in timed if min(ratios(row, known)) >= SLOW]
    median = statistics.median(row.clauses for row in done)
    lines += [
        "",
        f"The median spec has {median:.0f} lines of clauses. Of {len(timed)} rows that were timed, {len(fast)} are at",
        f"least {SLOW:.0f} times faster than eager code; the others are below.",
        "",
    ]
    return "\n".join(lines)


def _slow(known: Known) -> str:
    """Rows that miss the goal, by what the dense computation has to do."""
    slow = [row for row in catalogue() if ratios(row, known) and min(ratios(row, known)) < SLOW]
    untimed = [row for row in catalogue() if row.status == DONE and not ratios(row, known)]
    lines = [f"- `{row.id}`: {min(ratios(row, known)):.2f}; {_why(row, known)}" for row in slow]
    lines += [f"- `{row.id}`: no ratio: {_reason(row, known) or 'no record'}" for row in untimed]
    intro = _SLOW.format(full=LENGTH, short=" or ".join(map(str, SHORTER)))
    return f"## Less than {SLOW:.0f} times faster than eager code\n\n{intro}\n\n" + "\n".join(lines) + "\n"


def _why(row: CatalogueRow, known: Known) -> str:
    """The times of a row's slowest attention, and where they go."""
    found = min((s.get("time", {}) for s in records(row, known).values()), key=lambda t: t.get("ratio", 1e9))
    own, eager = (found["milliseconds"][who] for who in ("attnc", "eager"))
    parts = found.get("where")
    where = "not looked at yet" if parts is None else "; ".join(parts) or "many stages, none with 15 %"
    return f"{own:g} ms beside {eager:g} ms{_size(found)}: {where}"


def _size(time: Mapping[str, Any]) -> str:
    return f" at {time['sizes']['N']} tokens" if "at_full_length" in time else ""
