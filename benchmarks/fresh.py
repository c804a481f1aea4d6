"""Runs one measurement in its own process: `python -m benchmarks.fresh MODULE JSON` prints what its `child` finds."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent


def run(module: str, arguments: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`child(**arguments)` of a module of this package, in a new process."""
    command = [sys.executable, "-m", "benchmarks.fresh", module, json.dumps(arguments)]
    given = {**os.environ, **(environment or {})}
    done = subprocess.run(command, cwd=_ROOT, env=given, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    child = importlib.import_module(f"benchmarks.{sys.argv[1]}").child
    print(json.dumps(child(**json.loads(sys.argv[2]))))
