"""Forked children: a fresh start without importing torch again."""

import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any


def start(action: Callable[[], Any]) -> tuple[int, int]:
    """A child that runs an action, and the pipe that what it returns comes from."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        result = pickle.dumps((True, action()))
    except BaseException:
        result = pickle.dumps((False, traceback.format_exc()))
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(result)
    os._exit(0)


def finish(child: int, reader: int, seconds: float = 60) -> Any:
    """What the child returned; it is killed where that takes too long."""
    end = time.monotonic() + seconds
    os.set_blocking(reader, False)
    found = b""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while time.monotonic() < end:
            part = pipe.read(1 << 16)
            if part == b"":
                break
            found += part or b""
            time.sleep(0.005)
        else:
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with status {status}"
    is_good, result = pickle.loads(found)
    assert is_good, result
    return result


def in_child(action: Callable[[], Any], seconds: float = 60) -> Any:
    """What an action returns in a forked child."""
    return finish(*start(action), seconds)


def in_process(script: str, environment: dict[str, str] | None = None, seconds: float = 120) -> str:
    """What a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
