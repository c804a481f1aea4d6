"""One thread at a time derives: a graph makes its nodes as it is asked, and equal nodes must be one object."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()


@contextmanager
def alone() -> Iterator[None]:
    """While no other thread derives."""
    with _lock:
        yield


def _renew() -> None:
    """In a child of fork: who held the lock may not be there to give it back."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew)
