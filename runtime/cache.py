"""Compiled things on disk: private to the user, written atomically, checked when read, bounded in size.

An entry is a file beside its checksum; what does not match (cut short, or somebody else's) counts as missing. Set
ATTNC_CACHE_DIR to move the folder, ATTNC_CACHE_DIR="" to keep nothing beyond the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_LARGEST_TOTAL = 512 << 20
_CHECK_EVERY = 64


def digest(*parts: str | bytes) -> str:
    """A name made of everything that an entry depends on."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(str(len(data)).encode() + b":")
        total.update(data)
    return total.hexdigest()[:40]


@cache
def folder() -> Path:
    """The cache's folder; one of this process alone where the usual one is not ours or not private."""
    named = os.environ.get("ATTNC_CACHE_DIR")
    if named == "":
        return _own_folder()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(named) if named else base / "attnc"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
        if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
            return _own_folder()
    except OSError:
        return _own_folder()
    return path


def _own_folder() -> Path:
    import atexit
    import shutil

    path = Path(tempfile.mkdtemp(prefix="attnc-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(path, ignore_errors=True) if os.getpid() == owner else None)
    return path


def path_of(name: str) -> Path:
    return folder() / name


def load(name: str) -> bytes | None:
    """An entry's bytes, or None where there is none that is whole."""
    path = path_of(name)
    try:
        data = path.read_bytes()
        expected = Path(f"{path}.sum").read_text()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != expected:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return data


def store(name: str, data: bytes) -> Path:
    """Writes an entry so that readers see all of it or none."""
    path = path_of(name)
    _write(path, data)
    _write(Path(f"{path}.sum"), hashlib.sha256(data).hexdigest().encode())
    _prune_sometimes()
    return path


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def load_json(name: str) -> Any:
    data = load(name)
    if data is None:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return None


def store_json(name: str, value: Any) -> None:
    store(name, json.dumps(value).encode())


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time builds an entry; the others wait and then find it."""
    with open(path_of(name + ".lock"), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


_stores = 0


def _prune_sometimes() -> None:
    global _stores
    _stores += 1
    if _stores % _CHECK_EVERY == 1:
        prune()


def prune(largest_total: int = _LARGEST_TOTAL) -> None:
    """Removes what was used longest ago until the rest fits."""
    entries = []
    for path in folder().iterdir():
        with contextlib.suppress(OSError):
            found = path.stat()
            entries.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= largest_total:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size
