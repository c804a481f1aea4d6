"""`python -m benchmarks.catalogue [STEP …] [--only TEXT]`: steps are verify, interpret, time and write, all of them by
default. What is measured is kept for each row until it is measured again."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.catalogue.rows import rows

from .gallery import write_gallery
from .measure import Record, in_interpreter, isolated, timed, verified
from .table import write_table

RESULTS = Path(__file__).resolve().parent.parent / "results" / "catalogue.json"
STEPS: dict[str, Callable[[str], Record]] = {"verify": verified, "interpret": in_interpreter, "time": timed}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.catalogue", description=__doc__)
    parser.add_argument("steps", nargs="*", default=[*STEPS, "write"], choices=[*STEPS, "write"])
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--new", action="store_true", help="rows alone that have no record of the step")
    options = parser.parse_args()
    known: dict[str, dict[str, Record]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known = {name: known.get(name, {}) for name in rows()}
    for step in options.steps:
        if step == "write":
            continue
        for name in rows():
            if options.only in name and not (options.new and step in known[name]):
                start = time.monotonic()
                found = in_interpreter(name) if step == "interpret" else isolated(STEPS[step], name)
                known[name][step] = found
                print(f"{step:9} {name:50} {time.monotonic() - start:6.1f} s  {found}", flush=True)
                RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    if "write" in options.steps:
        write_table(known)
        write_gallery(known)


if __name__ == "__main__":
    main()
