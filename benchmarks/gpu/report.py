"""Findings -> gpu.md for people and gpu.json with all raw numbers; good also where parts have failed or did not run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .findings import Findings, PartFindings
from .goals import goals, sorted_rows, tflops_goal
from .outcomes import FAILED, Outcome
from .speed import BACKWARD, FORWARD
from .ways import FLASH, OURS, PEERS

Rows = list[list[str]]
_ROW_OF_NUMBERS = re.compile(r"\[[\s\d.,e+-]+\]")


def write(findings: Findings, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "gpu.md", folder / "gpu.json"
    page.write_text(markdown(findings), encoding="utf-8")
    everything = {**findings.to_json(), "goals": [goal.to_json() for goal in goals(findings)]}
    text = json.dumps(_plain(everything), indent=1, ensure_ascii=False, allow_nan=False)
    data.write_text(_ROW_OF_NUMBERS.sub(_joined, text) + "\n", encoding="utf-8")
    return [page, data]


def _joined(numbers: re.Match[str]) -> str:
    """A list of numbers on one line."""
    return " ".join(numbers.group().split())


def _plain(value: Any) -> Any:
    """Numbers that JSON does not have become texts."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def markdown(findings: Findings) -> str:
    sections = [
        "# Attention on the GPU: right, repeatable, and beside torch",
        "Written by `make gpu`: everything on this page was measured in one run.",
        *_warning(findings),
        table(("machine", ""), [[name, str(value)] for name, value in findings.machine.items()]),
        "## What is wrong",
        _bullets(findings.problems()) or "Nothing in what was run.",
        "## Not run",
        _bullets(_not_run(findings)) or "Everything was run.",
        "## Goals",
        _GOALS,
        table(("what", "measured", "goal", "met", ""), [goal.cells() for goal in goals(findings)]),
        *_parts(findings),
        "## Where the time went",
        table(("part", "seconds"), [[part.title, f"{part.seconds:.0f}"] for part in findings.parts]),
    ]
    return "\n\n".join(sections) + "\n"


def _warning(findings: Findings) -> list[str]:
    found = []
    if findings.device != "cuda":
        found.append(
            "**Made with --device cpu: tiny sizes and kernels for CPUs; these numbers mean nothing for a GPU.**"
        )
    if findings.only:
        found.append(f"**Made with --only {', '.join(findings.only)}: all else was left out.**")
    return found


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_cell(line)}" for line in lines)


def _not_run(findings: Findings) -> list[str]:
    return [f"{part.title}: {one.label}: {one.state}" for part in findings.parts for one in part.not_run()]


def _parts(findings: Findings) -> list[str]:
    found = []
    for part in findings.parts:
        found += [f"## {part.title}"] + ([_TEXTS[part.name]] if part.name in _TEXTS else [])
        found += [f"**This part failed: {_cell(part.failure)}**"] if part.failure else []
        found += [text for text in _TABLES.get(part.name, _no_tables)(part) if text]
    return found


_GOALS = """\
Goals are for one H200 in bfloat16. Those for TFLOP/s are read as follows: forward 450 at D 128 where all pairs exist
and 400 under a mask, 350 at D 64, backward 280; `met` asks for every length. A ratio is ahead if it is above 1."""

_TEXTS = {
    "correctness": """\
Every example against an independent dense oracle in float64. `times eager` is the error of attnc over that of the
oracle run eagerly in the dtype (the worse of largest and mean error; float32 without tf32), `units` the largest error
in units of rounding of the largest element. A result or gradient is good with at most 2 times, or at most 4 units; a
row shows the one that uses up most of this. More than one draw: judged anew because fewer were not good.""",
    "determinism": "Results and all gradients of equal calls, compared bit by bit.",
    "ahead": """\
So that timings do not wait for compilers, kernels of attnc and of FlexAttention are made before, by several processes,
into the caches on disk. This is not measured; what fails here comes again below, with its reason.""",
    "speed": """\
TFLOP/s counts 4·B·H·M·N·D operations forward and 10·B·H·M·N·D backward (five products), times the share of pairs in the
mask. Times are of the GPU alone (events, cold second-level cache, launches queued ahead), medians of rounds in which
everybody takes turns. The forward keeps what the backward needs, and the backward gives gradients of q, k and v, for
everybody: slopes, sinks and biases are given none. Others' columns: their time over attnc's, in brackets the least and
the greatest of the rounds; above 1, attnc is faster, and below it the ratio is bold. Before timing, results and
gradients are compared. FlexAttention is compiled for each size with torch's default options, and its block mask is not
timed; SDPA is asked for only where it has the attention. `window` is examples/sliding.attn, a window of 4096 with a
soft cap; window, softcap, alibi and sink are causal.""",
    "overhead": """\
Time of the host for one call on tiny tensors, nothing waited for: checking, choosing the kernel, launching. Goal: below
40 µs.""",
    "first_call": """\
From the first call to its result, with nothing in any cache on disk; then the same for the first call with gradients
and its backward. The first row also has what is imported late. Goal: below 3 s.""",
}


def _correctness(part: PartFindings) -> list[str]:
    names = ("example", "dtype", "verdict", "times eager", "units", "worst in", "draws", "sizes")
    return [table(names, _rows(part.outcomes, ("example", "dtype"), _judged, len(names)))]


def _judged(one: Outcome) -> list[str]:
    found, worst = one.found, one.found["worst"]
    sizes = " ".join(f"{name}{value}" for name, value in one.task["sizes"].items())
    verdict = "ok" if found["ok"] else "**WRONG**"
    return [verdict, f"{worst['ratio']:.2f}", f"{worst['units']:.1f}", worst["name"], str(found["draws"]), sizes]


def _determinism(part: PartFindings) -> list[str]:
    names = ("example", "dtype", "runs", "bits")
    return [table(names, _rows(part.outcomes, ("example", "dtype"), _repeats, len(names)))]


def _repeats(one: Outcome) -> list[str]:
    differing = ", ".join(one.found["differing"])
    return [str(one.found["times"]), f"**differ: {differing}**" if differing else "equal"]


def _ahead(part: PartFindings) -> list[str]:
    done = [one for one in part.outcomes if one.is_done]
    failed = [f"{one.label}: {one.state}" for one in part.outcomes if one.has_failed]
    return [f"{len(done)} of {len(part.outcomes)} made.", _bullets(failed)]


def _speed(part: PartFindings) -> list[str]:
    names = ("attention", "D", "N", "B", "ms", "TFLOP/s", "goal", *PEERS, "rounds")
    rows = sorted_rows(list(part.outcomes))
    found: list[str] = []
    for direction in (FORWARD, BACKWARD):
        notes: list[str] = []
        cells = _rows(rows, ("attention", "D", "N", "B"), _timed_in(direction, notes), len(names))
        numbered = "\n".join(f"({number}) {_cell(note)}  " for number, note in enumerate(notes, 1))
        found += [f"### {direction.capitalize()}", table(names, cells), numbered]
    return found


def _timed_in(direction: str, notes: list[str]) -> Callable[[Outcome], list[str]]:
    """Why somebody has no time is a note below the table; `notes` gathers them, each once."""

    def cells(one: Outcome) -> list[str]:
        found, goal = one.found[direction], tflops_goal(direction, one.task)
        aim = "" if goal is None else f"≥ {goal:.0f}" + ("" if found["tflops"] >= goal else ", **not met**")
        own = [f"{found['milliseconds'][OURS]:.3f}", f"{found['tflops']:.0f}", aim]
        return [*own, *(_peer(found, who, notes) for who in PEERS), str(found["rounds"])]

    return cells


def _peer(found: dict[str, Any], who: str, notes: list[str]) -> str:
    ratio = found["ratios"].get(who)
    if ratio is None:
        reason = found["reasons"].get(who, "not measured")
        notes += [] if reason in notes else [reason]
        return f"{'failed' if reason.startswith(FAILED) else '—'} ({notes.index(reason) + 1})"
    text = f"{ratio['median']:.2f}"
    return f"{text if ratio['median'] > 1 else f'**{text}**'} ({ratio['least']:.2f}..{ratio['most']:.2f})"


def _overhead(part: PartFindings) -> list[str]:
    kinds = ("call", "call that records gradients", FLASH)
    names = ("attention", *(f"{kind}, µs" for kind in kinds))

    def cells(one: Outcome) -> list[str]:
        return [f"{one.found[kind]:.1f}" if kind in one.found else "—" for kind in kinds]

    return [table(names, _rows(part.outcomes, ("attention",), cells, len(names)))]


def _first_calls(part: PartFindings) -> list[str]:
    kinds = ("forward", "with gradients")
    names = ("attention", "D", "N", *(f"{kind}, s" for kind in kinds))

    def cells(one: Outcome) -> list[str]:
        return [f"{one.found[kind]:.2f}" for kind in kinds]

    return [table(names, _rows(part.outcomes, ("attention", "D", "N"), cells, len(names)))]


_TABLES: dict[str, Callable[[PartFindings], list[str]]] = {
    "correctness": _correctness,
    "determinism": _determinism,
    "ahead": _ahead,
    "speed": _speed,
    "overhead": _overhead,
    "first_call": _first_calls,
}


def _no_tables(part: PartFindings) -> list[str]:
    return []


def _rows(some: Sequence[Outcome], keys: Sequence[str], cells: Callable[[Outcome], list[str]], width: int) -> Rows:
    """The task's cells, then what was found; where nothing was, the reason stands in the first of these."""
    found = []
    for one in some:
        rest = cells(one) if one.is_done else [one.state]
        line = [*(str(one.task[key]) for key in keys), *rest]
        found.append(line + [""] * (width - len(line)))
    return found


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str | None) -> str:
    """Text that cannot break a table."""
    return (text or "").replace("|", "\\|").replace("\n", " ")
