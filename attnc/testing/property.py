"""Kernels against the dense meaning on drawn calls; a failure shrinks to the smallest call that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings

from attnc.runtime.verify import Error, measure

from .strategies import Call, calls

if TYPE_CHECKING:
    from attnc.spec import Attention


def assert_matches_reference(
    spec: Attention, examples: int = 40, *, seen: Callable[[Call, list[Error]], None] | None = None
) -> None:
    """Checks outputs and every gradient of the generated kernels on drawn calls.

    `seen` is told of every call and its errors. Raises AssertionError with the smallest failing call.
    """

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(spec))
    def check(call: Call) -> None:
        errors = check_call(spec, call)
        if seen is not None:
            seen(call, errors)
        bad = [error for error in errors if not error.is_good]
        assert not bad, _report(call, bad)

    check()


def check_call(spec: Attention, call: Call) -> list[Error]:
    """The errors of one call."""
    return measure(spec, tuple(call.tensors.values()), dict(call.parameters))


def _report(call: Call, bad: list[Error]) -> str:
    lines = [f"the kernels differ from the dense meaning for {call.words}"]
    for error in bad:
        what = error.note or f"is {error.found:.9g}, not {error.expected:.9g}, at {list(error.place)}"
        allowed = f"(error {error.worst:.3g} of {error.allowed:.3g}, mean {error.mean:.3g} of {error.mean_allowed:.3g})"
        lines.append(f"  {error.name} {what} {allowed}")
    return "\n".join(lines)
