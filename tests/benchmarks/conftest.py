"""`benchmarks` is no part of the installed package: it is found at the repository's root, whatever pytest is started from."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)
