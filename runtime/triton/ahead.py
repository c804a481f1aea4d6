"""`attnc build`: a folder that is a package of its own: readable kernels, binaries for some architectures, a report,
and a loader that needs only torch and Triton."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnc.codegen.triton.program import Launch, TritonSource
from attnc.ir import evaluation

from ..kernels import KeptCard, Request
from .building import Built, search
from .kernels import triton_source
from .limits import ARCHITECTURES, Architecture
from .modules import store_module

if TYPE_CHECKING:
    from attnc.card import OutputCard
    from attnc.pipeline import Derivation
    from attnc.spec import Attention

DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True)
class Cell:
    """One kernel on one architecture: the best candidate and what is wrong with it, after how many were tried."""

    target: str
    direction: str
    launch: Launch
    built: Built
    faults: list[str]
    tried: int

    def row(self) -> dict[str, Any]:
        """The report's line."""
        built = self.built
        return {
            "target": self.target,
            "direction": self.direction,
            "kernel": self.launch.kernel,
            "choice": str(built.choice),
            "registers": built.registers,
            "spilled": built.spilled,
            "shared": built.shared,
            "tensor memory": built.tensor_memory,
            "matrix": list(built.matrix),
            "faults": self.faults,
            "tried": self.tried,
        }


def cells_of(source: TritonSource, direction: str, architecture: Architecture) -> list[Cell]:
    """Every kernel of a module, compiled for an architecture with the first choice that fits."""
    module = store_module(source.text)
    found = []
    for launch in source.launches:
        tried = list(search(module, launch, source.dtypes, architecture))
        built, faults = min(tried, key=lambda item: (len(item[1]), item[0].spilled))
        found.append(Cell(architecture.name, direction, launch, built, faults, len(tried)))
    return found


def build_package(
    attention: Attention,
    request: Callable[[Derivation, tuple[str, ...]], Request],
    targets: Sequence[str],
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Writes the package; returns the report's rows. `request` says for which dtypes and widths."""
    import triton

    derivation = attention.derivation()
    needs = tuple(d.name for d in derivation.meaning.inputs if d.tensor.type == "float")
    wanted = request(derivation, needs)
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Any] = {"triton": triton.__version__, "targets": list(targets), "widths": {}, "choices": {}}
    rows = []
    for target in targets:
        architecture = ARCHITECTURES[target]
        name = "split" if architecture.splits_widths else "padded"
        made["widths"][target], made["choices"][target] = name, {}
        for direction in DIRECTIONS:
            source, outputs, kept, _ = triton_source(
                derivation, wanted, direction == "backward", architecture.splits_widths
            )
            _write_source(folder / name, direction, source)
            made.setdefault(name, {})[direction] = [asdict(launch) for launch in source.launches]
            made[direction] = _manifest(source, outputs, kept)
            say(f"{direction} for {target}")
            cells = cells_of(source, direction, architecture)
            made["choices"][target][direction] = [_write_binary(folder, cell) for cell in cells]
            rows += [cell.row() for cell in cells]
    card = attention.card()
    made["fixed"] = dict(wanted.widths)
    made["inputs"] = [[item.name, list(item.sizes)] for item in card.inputs]
    made["parameters"] = {p.name: p.default for p in card.parameters if p.default is not None}
    made["forward"]["results"] = [output.name for output in card.results]
    (folder / "launches.json").write_text(json.dumps(made, indent=1))
    (folder / "report.json").write_text(json.dumps(rows, indent=1))
    (folder / "report.md").write_text(report(attention.name, triton.__version__, rows))
    _write_loader(folder)
    return rows


def _manifest(source: TritonSource, outputs: Sequence[OutputCard], kept: Sequence[KeptCard]) -> dict[str, Any]:
    return {
        "outputs": [[o.name, list(o.sizes), source.dtypes[o.name]] for o in outputs],
        "buffers": [asdict(buffer) for buffer in source.buffers],
        "dtypes": source.dtypes,
        "kept": [asdict(item) for item in kept],
        "repeats": [asdict(repeated) for repeated in source.repeats],
    }


def _write_source(folder: Path, direction: str, source: TritonSource) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text("")
    (folder / f"{direction}.py").write_text(source.text)


def _write_binary(folder: Path, cell: Cell) -> dict[str, Any]:
    """The binary and its metadata; what the loader has to know of them."""
    inner = folder / cell.target
    inner.mkdir(exist_ok=True)
    files = []
    for path in map(Path, cell.built.handle.metadata_group.values()):
        if path.suffix in (".json", ".cubin", ".hsaco"):
            copy = inner / f"{cell.direction}_{cell.launch.kernel}{path.suffix}"
            shutil.copyfile(path, copy)
            files.append(str(copy.relative_to(folder)))
    return {**asdict(cell.built.choice), "files": files, "hash": cell.built.handle.hash}


def _write_loader(folder: Path) -> None:
    here = Path(__file__)
    loader = here.with_name("standalone.py").read_text()
    (folder / "__init__.py").write_text(loader.replace("from attnc.ir.evaluation", "from .evaluation"))
    shutil.copyfile(str(evaluation.__file__), folder / "evaluation.py")


def report(name: str, version: str, rows: Sequence[dict[str, Any]]) -> str:
    """A table for readers."""
    lines = [
        f"# Kernels of {name}",
        "",
        f"Compiled by Triton {version}; blocks are rows x columns, w warps, s stages.",
        "",
    ]
    lines += ["| target | kernel | blocks | registers | spilled | shared | matrix instructions | faults |"]
    lines += ["|---|---|---|---:|---:|---:|---|---|"]
    for row in rows:
        matrix = ", ".join(map(_short, row["matrix"])) or "none"
        where = f"{row['direction']} {row['kernel']}"
        cells = [row["target"], where, row["choice"], row["registers"], row["spilled"], row["shared"], matrix]
        lines.append("| " + " | ".join(str(cell) for cell in [*cells, "; ".join(row["faults"]) or "none"]) + " |")
    return "\n".join(lines) + "\n"


def _short(instruction: str) -> str:
    """`wgmma.mma_async m64n128k16` for the whole name."""
    first, last = instruction.split(".sync")[0], instruction.rsplit(".", 1)[-1]
    return first if first == last else f"{first} {last}"
