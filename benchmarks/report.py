"""What was measured -> one Markdown page and one JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import frontend, memory, overhead, roofline, startup, twice, variants
from .cases import BACKWARD, BOTH
from .compare import EAGER, FLEX, OURS, SDPA, Row
from .timing import Ratio
from .variants import Variant


@dataclass(frozen=True)
class Goal:
    """Something promised: the value, what it must not exceed (or reach, if `is_least`), and how it was measured.
    `possible`: the value if attnc ran at this machine's peak."""

    name: str
    value: float
    limit: float
    unit: str
    method: str
    is_least: bool = False
    possible: float | None = None

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.is_least else self.value <= self.limit

    def to_json(self) -> dict[str, Any]:
        known = {"name": self.name, "value": self.value, "goal": self._goal, "met": self.is_met, "method": self.method}
        return known | ({} if self.possible is None else {"at the peak": self.possible})

    @property
    def _goal(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {self.limit:g}{self.unit}"

    def cells(self) -> list[str]:
        most = "" if self.possible is None else f"{self.possible:.3g}{self.unit}"
        met = "yes" if self.is_met else "**no**"
        return [self.name, f"{self.value:.3g}{self.unit}", self._goal, most, met, self.method]


@dataclass
class Findings:
    """Everything that a run has measured; parts are filled as they are done."""

    machine: dict[str, Any]
    quick: bool
    rows: list[Row] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    twice: dict[str, Any] = field(default_factory=dict)
    frontend: dict[str, Any] = field(default_factory=dict)
    startup: dict[str, Any] = field(default_factory=dict)
    overhead: dict[str, float] = field(default_factory=dict)

    def add(self, rows: Sequence[Row]) -> None:
        """Adds rows of the table, with their share of the machine's peak where that is known and of their dtype."""
        peaks = self.machine["multiply-add peak, GFLOP/s"]
        for row in rows:
            peak = peaks.get(row.dtype, peaks.get("float32"))
            if peak is not None and row.products is not None:
                row.peak_share = row.products / (peak * 1e6 * row.milliseconds[OURS])
            self.rows.append(row)

    def goals(self) -> list[Goal]:
        return [*self._peer_goals(), *self._variant_goals(), *self._other_goals()]

    def _peer_goals(self) -> list[Goal]:
        """Full and causal attention beside SDPA, and their share of the peak of what is multiplied."""
        found = []
        for row in self.rows:
            goals = _goals_of(row)
            where = f"{row.mechanism}, {', '.join(map(str, row.sizes.values()))}, {row.dtype}, {row.direction}"
            if goals is None:
                continue
            ratio, share = goals
            most = None if row.peak_share is None else row.ratios[SDPA].median / row.peak_share
            found.append(Goal(where, row.ratios[SDPA].median, ratio, "×", "SDPA's time over its", True, most))
            if share is not None and row.peak_share is not None:
                found.append(Goal(where, 100 * row.peak_share, share, " %", "of the multiply-add peak", is_least=True))
        return found

    def _variant_goals(self) -> list[Goal]:
        found = []
        for one in self.variants:
            where = f"N={one.sizes['N']}, {one.direction}"
            if one.over == "causal":
                method = "causal's time over the window's"
                found.append(
                    Goal(f"{one.under}, {where}", one.ratio.median, variants.GOAL_WINDOW, "×", method, is_least=True)
                )
            elif one.goal is not None:
                method = f"its time over that of {one.under}"
                found.append(Goal(f"{one.over}, {where}", one.ratio.median, one.goal, "×", method))
        return found

    def _other_goals(self) -> list[Goal]:
        share = self.memory["inputs and growth as a multiple of inputs, outputs and gradients"]["attnc"]
        slowest = max(self.frontend, key=lambda name: self.frontend[name]["planned"])
        cached = max(self.startup, key=lambda name: self.startup[name]["cached"]["call"])
        n = self.memory["sizes"]["N"]
        return [
            Goal(f"memory, N={n}, forward + backward", share, memory.GOAL, "×", _METHODS["memory"]),
            *self._goals_of_twice(),
            Goal(
                f"text to plan ({slowest})",
                self.frontend[slowest]["planned"],
                frontend.GOAL,
                " ms",
                _METHODS["frontend"],
            ),
            Goal(
                f"first call, cached ({cached})",
                self.startup[cached]["cached"]["call"],
                startup.GOAL,
                " ms",
                _METHODS["startup"],
            ),
            Goal("overhead of a call", self.overhead["overhead"], overhead.GOAL, " µs", _METHODS["overhead"]),
            Goal(
                "overhead with gradients",
                self.overhead["overhead with gradients"],
                overhead.GOAL_WITH_GRADIENTS,
                " µs",
                "the same where the call records for a backward",
            ),
        ]

    def _goals_of_twice(self) -> list[Goal]:
        where = f"double backward, N={self.twice['sizes']['N']}"
        growth = self.twice["growth over that at half the length"]
        return [
            Goal(
                f"{where}: time", self.twice["time over eager's"], twice.GOAL_TIME, "×", "over eager's, fresh processes"
            ),
            Goal(f"{where}: memory", growth, twice.GOAL_GROWTH, "×", "growth of the peak over that at half the length"),
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "quick": self.quick,
            "goals": [goal.to_json() for goal in self.goals()],
            "peers": [row.to_json() for row in self.rows],
            "variants": [variant.to_json() for variant in self.variants],
            "memory": self.memory,
            "double backward": self.twice,
            "front end, ms": self.frontend,
            "first call, ms": self.startup,
            "overhead, µs": self.overhead,
        }


def _goals_of(row: Row) -> tuple[float, float | None] | None:
    """How many times faster than SDPA, and which share of the peak in percent."""
    if row.mechanism not in ("full", "causal") or SDPA not in row.ratios:
        return None
    if row.sizes["B"] * row.sizes["H"] > 64:
        return (2.0, None) if row.direction == BOTH else None
    if row.direction == BOTH:
        return None
    is_causal = row.mechanism == "causal"
    if row.dtype == "float32":
        return (1.9, 65) if row.direction == BACKWARD else (2.2, 68) if is_causal else (2.1, 75)
    return (1.6, 50) if row.direction == BACKWARD else (4.0, 60) if is_causal else (3.8, 68)


_METHODS = {
    "memory": "growth of the resident peak in a fresh process, inputs included, over inputs + outputs + gradients",
    "frontend": "first text of a process, after imports, to the plans of forward and backward",
    "startup": "fresh process, from the call to its result; imports and load are listed below",
    "overhead": "a call with one query and key, less the bare ctypes call of its kernel",
}


def write(findings: Findings, folder: Path) -> list[Path]:
    """Writes cpu.md, cpu.json and cpu.png."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data, picture = (folder / f"cpu.{ending}" for ending in ("md", "json", "png"))
    page.write_text(markdown(findings), encoding="utf-8")
    data.write_text(json.dumps(findings.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    roofline.draw(findings.rows, findings.machine, picture)
    return [page, data, picture]


def markdown(findings: Findings) -> str:
    parts = [
        "# Attention on the CPU: attnc beside torch",
        "Written by `make bench`: everything on this page was measured in one run, peers in turns with attnc.",
        _machine(findings.machine),
        "## Peers",
        _PEERS,
        _peer_table(findings.rows),
        "## Goals",
        _table(
            ("what", "measured", "goal", "at this machine's peak", "met", "how"),
            [goal.cells() for goal in findings.goals()],
        ),
        "## attnc beside itself",
        _variant_table(findings.variants),
        "## Memory",
        _memory(findings.memory),
        "## Derivatives of second order",
        _twice(findings.twice),
        "## From text to result",
        _startup(findings),
        "## Overhead of a call",
        _table(("what", "µs"), [[name, f"{value:.1f}"] for name, value in findings.overhead.items()]),
    ]
    if findings.quick:
        parts.insert(1, "**Made with --quick: tiny sizes, so these numbers mean nothing.**")
    return "\n\n".join(parts) + "\n"


_PEERS = """\
A cell says how many times longer a peer takes than attnc: the median of the rounds' ratios and, in brackets, the least
and the greatest. Above 1, attnc is faster. Before anything is timed, all results and gradients of a row are compared.
Boolean masks and FlexAttention's block masks and compilation are not timed; learned biases are made in every call.
SDPA is `scaled_dot_product_attention` (`is_causal`, or a dense mask or bias where it needs one), FlexAttention is
compiled with `torch.compile`, eager is plain torch. Floor: products of the pairs that exist (forward 2, backward 5,
both 7 products of D features each) at the measured peak of multiply-adds of what is multiplied; share of peak: the
floor over the time. MiB: how much the process grows by in one call, of attnc and of SDPA. What stands between floors
and times is told in [docs/floors.md](../../docs/floors.md).

![Operations a second over operations a byte, below the machine's limits](cpu.png)"""


def _machine(machine: dict[str, Any]) -> str:
    return _table(("machine", ""), [[name, _told(value)] for name, value in machine.items()])


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


def _peer_table(rows: Sequence[Row]) -> str:
    names = (
        "attention",
        "B, H, N, D",
        "dtype",
        "direction",
        "attnc, ms",
        "floor, ms",
        "of peak",
        SDPA,
        FLEX,
        EAGER,
        "MiB",
        "rounds",
    )
    cells = []
    for row in rows:
        sizes = ", ".join(str(value) for value in row.sizes.values())
        peers = [_peer(row, name) for name in (SDPA, FLEX, EAGER)]
        share = "" if row.peak_share is None else f"{100 * row.peak_share:.0f} %"
        ours = f"{row.milliseconds[OURS]:.1f}"
        floor = "" if row.peak_share is None else f"{row.peak_share * row.milliseconds[OURS]:.1f}"
        memory = " / ".join(f"{row.mebibytes[name]:.0f}" for name in (OURS, SDPA) if name in row.mebibytes)
        own = [row.mechanism, sizes, row.dtype, row.direction, ours, floor, share]
        cells.append([*own, *peers, memory, str(row.rounds)])
    return _table(names, cells)


def _peer(row: Row, name: str) -> str:
    return str(row.ratios[name]) if name in row.ratios else f"— {row.reasons.get(name, '')}"


def _variant_table(found: Sequence[Variant]) -> str:
    rows = []
    for one in found:
        times = ", ".join(f"{name} {value:.1f} ms" for name, value in one.milliseconds.items())
        rows.append([f"{one.over} / {one.under}", str(one.sizes["N"]), one.direction, str(one.ratio), times])
    return _table(("ratio of times", "N", "direction", "median (least..greatest)", "median times"), rows)


def _memory(found: dict[str, Any]) -> str:
    sizes = ", ".join(f"{name}={value}" for name, value in found["sizes"].items())
    text = (
        f"Causal, float32, {sizes}, forward and backward in a fresh process after a small warm-up. The inputs take"
        f" {found['inputs, MiB']:.0f} MiB, and together with outputs and gradients"
        f" {found['inputs, outputs and gradients, MiB']:.0f} MiB. The gradient of the result is given and not counted."
    )
    rows = []
    for who, grown in found["growth over the inputs, MiB"].items():
        with_inputs = found["inputs and growth as a multiple of inputs, outputs and gradients"][who]
        without = found["growth as a multiple of inputs, outputs and gradients"][who]
        rows.append([who, f"{grown:.0f}", f"{with_inputs:.2f}", f"{without:.2f}", f"{found['seconds'][who]:.1f}"])
    names = ("", "growth of the peak, MiB", "(inputs + growth) / all tensors", "growth / all tensors", "seconds")
    return text + "\n\n" + _table(names, rows)


def _twice(found: dict[str, Any]) -> str:
    sizes = ", ".join(f"{name}={value}" for name, value in found["sizes"].items())
    text = (
        f"Causal, float32, {sizes}: a result, its gradients, and the gradients of the sum of their squares, each in a"
        f" fresh process. At half the length attnc grows by {found['growth of attnc at half the length, MiB']:.0f} MiB."
    )
    grown = found["growth over the inputs, MiB"]
    rows = [[who, f"{seconds:.2f}", f"{grown[who]:.0f}"] for who, seconds in found["seconds"].items()]
    return text + "\n\n" + _table(("", "seconds", "growth of the peak, MiB"), rows)


def _startup(findings: Findings) -> str:
    first = [[name, *(f"{value:.0f}" for value in stages.values())] for name, stages in findings.frontend.items()]
    plans = _table(("front end, ms", "text checked", "plans made", "plans made, second time in the process"), first)
    rows = []
    for name, both in findings.startup.items():
        for state, parts in both.items():
            rows.append([f"{name}, {state}", *(f"{value:.0f}" for value in parts.values())])
    parts = next(iter(findings.startup.values()))["cold"]
    calls = _table(("first call, ms", *parts), rows)
    return plans + "\n\n" + calls


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


__all__ = ["Findings", "Goal", "Ratio", "markdown", "write"]
