"""`python -m benchmarks.gpu.child PART DEVICE`: answers each task on stdin, a line of JSON, with a line on stdout."""

from __future__ import annotations

import importlib
import json
import sys

import torch

from .children import MARK
from .outcomes import attempt


def main(part: str, device: str) -> None:
    """An answer also says whether the process is spoilt: after a fault in a kernel, nothing works in it any more."""
    work = importlib.import_module(f"benchmarks.gpu.{part}").work
    for line in sys.stdin:
        outcome = attempt(work, json.loads(line), device)
        answer = {"state": outcome.state, "found": outcome.found, "spoilt": device == "cuda" and not _can_go_on()}
        print(MARK + json.dumps(answer), flush=True)


def _can_go_on() -> bool:
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()  # other workers share the memory
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
