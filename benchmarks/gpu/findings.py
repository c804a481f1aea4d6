"""What a run has found so far: the outcomes of its parts, what is wrong, and what was not run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .machine import Machine
from .outcomes import OUT_OF_TIME, Found, Outcome

AHEAD = "ahead"


@dataclass
class PartFindings:
    """`failure` is what the part as a whole raised, if it did."""

    name: str
    title: str
    outcomes: Sequence[Outcome] = ()
    seconds: float = 0.0
    failure: str | None = None
    faults: Callable[[Found], list[str]] = lambda found: []

    def problems(self) -> list[str]:
        """All that makes the run fail. A kernel that cannot be made ahead comes again where it is timed."""
        whole = [f"{self.title}: {self.failure}"] if self.failure else []
        if self.name == AHEAD:
            return whole
        told = [(one.label, text) for one in self.outcomes for text in self._problems_of(one)]
        return whole + [f"{self.title}, {label}: {text}" for label, text in told]

    def _problems_of(self, one: Outcome) -> list[str]:
        return [one.state] if one.has_failed else self.faults(one.found) if one.is_done else []

    def not_run(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.state == OUT_OF_TIME]

    def to_json(self) -> dict[str, Any]:
        outcomes = [one.to_json() for one in self.outcomes]
        return {"name": self.name, "seconds": self.seconds, "failure": self.failure, "outcomes": outcomes}


@dataclass
class Findings:
    device: str
    only: Sequence[str] = ()
    machine: Machine = field(default_factory=dict)
    parts: list[PartFindings] = field(default_factory=list)

    def problems(self) -> list[str]:
        return [text for part in self.parts for text in part.problems()]

    def done(self, name: str) -> list[Outcome]:
        return [one for one in self.outcomes(name) if one.is_done]

    def outcomes(self, name: str) -> Sequence[Outcome]:
        return next((part.outcomes for part in self.parts if part.name == name), ())

    def to_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "device": self.device,
            "only": list(self.only),
            "problems": self.problems(),
            "parts": [part.to_json() for part in self.parts],
        }
