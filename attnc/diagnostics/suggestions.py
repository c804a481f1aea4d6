"""'did you mean': only when close."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to a misspelt one, or None when nothing is close."""
    known = sorted(known)
    for other in known:
        if len(word) > 1 and other.lower() == word.lower():
            return other
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.7 if len(word) > 3 else 0.75)
    return matches[0] if matches else None
