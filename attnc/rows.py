"""The catalogue: what mechanisms of the literature compute, and which of them are specs (examples/catalogue)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "catalogue"
DONE, LEFT_OUT, OPEN = "done", "left-out", "open"
STATUSES = (DONE, LEFT_OUT, OPEN)
THEORY, SYSTEMS, PLAIN = "theory", "systems", "sequences"
_FAMILIES: dict[str, tuple[str, ...]] = {
    "linear": ("feature_map", "linear_none"),
    "recurrences": ("recurrent_state", "x:delta_rule", "x:selective_scan", "x:associative_scan"),
    "convolved scores": ("score_conv", "higher_order", "cross_head_mix"),
    "matching": ("double_normalization", "x:sinkhorn"),
    "selection": ("topk_token", "topk_block", "hierarchical", "threshold", "random"),
    "grids": ("window2d", "grid2d", "axial", "spatial3d", "dilated"),
    "graphs": ("graph",),
    "scores": ("additive_mlp", "bilinear", "cosine", "l1", "l2", "contextual_position"),
    "normalizations": ("other_norm", "signed", "sigmoid", "relu", "sparsemax_entmax", "x:temperature"),
    "gates": ("output_gate", "score_gate", "x:per_head_gate"),
    "positions": ("bias_table", "bias_analytic", "rotary"),
    "statistics": ("weights_out", "stats_out", "max_agg"),
    "pooling": ("pooling_kv", "x:learned_query", "x:latent_queries"),
    "cross attention": ("cross_attention",),
}
FAMILIES = (*_FAMILIES, PLAIN, SYSTEMS, THEORY)
# what the language or the compiler lacks for a row that is not done, by what the row needs; the first that fits
_MISSING = {
    "recurrent_state": "states that are matrices, kept in chunks",
    "score_conv": "convolutions over scores",
    "cross_head_mix": "mixing heads of pairwise values",
    "higher_order": "sums over triples of positions",
    "topk_block": "routing: blocks that are chosen by what they hold",
    "topk_token": "routing: keys that are chosen and gathered",
    "hierarchical": "routing: levels of a hierarchy, one choosing within another",
    "gather": "keys gathered from computed places",
    "cumulative": "scans beside other sums",
    "x:bilinear_sample": "keys sampled between positions",
}


@dataclass(frozen=True)
class CatalogueRow:
    """A mechanism (or system, or piece of theory) of the literature. `level` is easy, medium, hard or out, `needs` are
    tags of what it takes, `trust` says how sure the formula is. `left_out`: why an easy or medium row has no spec."""

    id: str
    name: str
    paper: str
    kind: str
    level: str
    computes: str
    formula: str
    needs: tuple[str, ...]
    trust: str
    left_out: str | None

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.id}.attn"

    @property
    def status(self) -> str:
        if self.path.exists():
            return DONE
        return OPEN if self.left_out is None else LEFT_OUT

    @property
    def family(self) -> str:
        if self.kind != "mechanism":
            return THEORY if self.kind == "theory" else SYSTEMS
        found = (family for family, tags in _FAMILIES.items() if any(tag in self.needs for tag in tags))
        return next(found, PLAIN)

    @property
    def missing(self) -> str | None:
        """What a row without a spec waits for."""
        if self.status == DONE:
            return None
        constructs = (construct for tag, construct in _MISSING.items() if tag in self.needs)
        return self.left_out or next(constructs, "several stages of a network around it")

    @property
    def clauses(self) -> int:
        """Lines of the spec without docstrings, comments and empty lines."""
        text = self.path.read_text(encoding="utf-8")
        bare = "".join(text.split('"""')[::2])
        return sum(bool(line.strip()) and not line.lstrip().startswith(("#", "use ")) for line in bare.split("\n"))


@cache
def catalogue() -> tuple[CatalogueRow, ...]:
    """All rows, by id."""
    reasons = json.loads((FOLDER / "left_out.json").read_text(encoding="utf-8"))
    found = []
    for line in (FOLDER / "rows.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        row["needs"], row["trust"] = tuple(row["needs"]), row.pop("formula_trust")
        found.append(CatalogueRow(**row, left_out=reasons.get(row["id"])))
    return tuple(sorted(found, key=lambda row: row.id))
