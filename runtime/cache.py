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
    try:
        path = None if _has_left else _usual_folder()
        if path is None:
            return _own_folder()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
        if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
            return _own_folder()
    except (OSError, RuntimeError):  # pathlib's RuntimeError: a user without a home
        return _own_folder()
    return path


def _usual_folder() -> Path | None:
    named = os.environ.get("ATTNC_CACHE_DIR")
    if named is not None:
        return Path(named).absolute() if named else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attnc"


_has_left = False


def _leave() -> None:
    """From now on this process keeps entries in a folder of its own."""
    global _has_left
    _has_left = True
    folder.cache_clear()


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
        expected = Path(f"{path}.sum").read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest().encode() != expected:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return data


def store(name: str, data: bytes) -> None:
    """Writes an entry so that readers see all of it or none; in a folder of this process where the usual one is gone,
    full or no longer writable."""
    try:
        _write_entry(name, data)
    except OSError:
        _leave()
        _write_entry(name, data)
    _prune_sometimes()


def forget(name: str) -> None:
    """Removes an entry that turned out to be of no use."""
    for path in (path_of(name), path_of(name + ".sum")):
        path.unlink(missing_ok=True)


def _write_entry(name: str, data: bytes) -> None:
    _write(path_of(name), data)
    _write(path_of(name + ".sum"), hashlib.sha256(data).hexdigest().encode())


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
    """An entry that can be made again: where it cannot be written, it is not."""
    with contextlib.suppress(OSError):
        store(name, json.dumps(value).encode())


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time builds an entry; the others wait and then find it. Where the folder takes no locks, each
    builds, which is only slower."""
    path = path_of(name + ".lock")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context(open(path, "wb"))
            fcntl.flock(file, fcntl.LOCK_EX)
            stack.callback(fcntl.flock, file, fcntl.LOCK_UN)  # a child that was forked meanwhile holds the file too
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # those who wait hold it open; who comes now finds the entry


_stores = 0


def _prune_sometimes() -> None:
    global _stores
    _stores += 1
    if _stores % _CHECK_EVERY == 1:
        prune()


def prune(largest_total: int = _LARGEST_TOTAL) -> None:
    """Removes the entries that were used longest ago until the rest fits."""
    total, entries = 0, dict[str, tuple[float, int]]()
    with contextlib.suppress(OSError):
        for path in folder().iterdir():
            with contextlib.suppress(OSError):
                found, name = path.stat(), path.name.removesuffix(".sum")
                used, size = entries.get(name, (0.0, 0))
                entries[name] = max(used, found.st_mtime), size + found.st_size
                total += found.st_size
    for name, (_, size) in sorted(entries.items(), key=lambda entry: entry[1][0]):
        if total <= largest_total:
            return
        with contextlib.suppress(OSError):
            forget(name)
        total -= size
