"""`python -m benchmarks.catalogue [STEP …] [--only TEXT]`: steps are verify, interpret, time and write, all of them by
default. What is measured is kept for each row until it is measured again."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock

from tests.catalogue.rows import rows

from .gallery import write_gallery
from .measure import Record, in_interpreter, isolated, timed_somehow, verified
from .table import write_table

RESULTS = Path(__file__).resolve().parent.parent / "results" / "catalogue.json"
STEPS: dict[str, Callable[[str], Record]] = {"verify": verified, "interpret": in_interpreter, "time": timed_somehow}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.catalogue", description=__doc__)
    parser.add_argument("steps", nargs="*", default=[*STEPS, "write"], choices=[*STEPS, "write"])
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--new", action="store_true", help="rows alone that have no record of the step")
    parser.add_argument("--jobs", type=int, default=2, help="rows at once, each on one thread")
    options = parser.parse_args()
    known: dict[str, dict[str, Record]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known = {name: known.get(name, {}) for name in rows()}

    def measure(step: str, name: str) -> None:
        start = time.monotonic()
        known[name][step] = isolated(verified, name) if step == "verify" else STEPS[step](name)
        print(f"{step:9} {name:50} {time.monotonic() - start:6.1f} s  {known[name][step]}", flush=True)
        with lock:
            RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")

    lock = Lock()
    for step in options.steps:
        if step != "write":
            names = [n for n in rows() if options.only in n and not (options.new and step in known[n])]
            with ThreadPoolExecutor(1 if step == "interpret" else options.jobs) as workers:
                list(workers.map(partial(measure, step), names))
    if "write" in options.steps:
        write_table(known)
        write_gallery(known)


if __name__ == "__main__":
    main()
