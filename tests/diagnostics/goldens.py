"""Comparing a message with its golden; ATTNC_UPDATE_GOLDENS=1 writes it anew."""

import os


def compare(golden, error):
    if os.environ.get("ATTNC_UPDATE_GOLDENS"):
        golden.parent.mkdir(exist_ok=True, parents=True)
        golden.write_text(f"{error}\n", encoding="utf-8")
    assert f"{error}\n" == golden.read_text(encoding="utf-8")
