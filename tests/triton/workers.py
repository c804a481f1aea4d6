"""Processes in which Triton is imported: one for its interpreter, one for its compiler, for each version under test.

Triton decides at its first import whether it interprets, and a compiler that fails may take its process with it, so
tests import it nowhere else.
"""

import atexit
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import pytest


def folder_of(version):
    """Where the Makefile put a version of Triton beside the one that torch came with."""
    return Path(sys.prefix) / "triton" / version


def _look_first(*folders):
    """In the new process: these folders come before what is installed."""
    sys.path[:0] = folders


@cache
def pool(kind, version=None):
    """A process of its own; `kind` is "interpreter" or "compiler"."""
    environment = {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    if kind == "interpreter":
        environment |= {"TRITON_INTERPRET": "1", "ATTNC_CPU_TARGET": "interpreter"}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        first = (str(folder_of(version)),) if version is not None else ()
        context = multiprocessing.get_context("spawn")
        made = ProcessPoolExecutor(1, context, initializer=_look_first, initargs=first)
        made.submit(os.getpid).result()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    atexit.register(made.shutdown, wait=False, cancel_futures=True)
    return made


def run(kind, function, *args, version=None):
    """A function's result, computed in such a process."""
    if sys.platform != "linux":
        pytest.skip("Triton is made for Linux only")
    if version is not None and not folder_of(version).is_dir():
        pytest.skip(f"Triton {version} is not installed beside the other one: 'make test' does so")
    return pool(kind, version).submit(function, *args).result(timeout=600)
