"""How much the demo does: the usual run, and a quick one for tests that takes the same path."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Shape

COMPARED = 50
"""Steps over which both losses must agree."""
TOLERANCE = 1e-3
"""By how much they may differ, in nats."""


@dataclass(frozen=True)
class Settings:
    """Sizes of the model, numbers of steps, and what the benchmark and the picture of the mask are made for."""

    shape: Shape
    characters: int
    steps: int
    window: int
    window_steps: int
    sample: int
    bench_length: int
    bench_window: int
    bench_rounds: int
    mask_length: int
    mask_window: int


FULL = Settings(Shape(3, 2, 4, 512), 4_000_000, 100, 128, 200, 320, 2048, 256, 5, 4096, 1024)
QUICK = Settings(Shape(2, 1, 2, 64), 200_000, 55, 16, 10, 40, 256, 64, 2, 1024, 512)
