"""A cache of a test's own, with a compiler that is quick (it knows what it has compiled before) and keeps a log."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
import torch

from attnc.runtime import cache, kernels, operators, pool, toolchain
from attnc.spec import KNOWN

from .probes import probe

COMPILER = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
SCRIPT = """#!/bin/sh
[ "$1" = --version ] && exec {compiler} --version
echo "$@" >> {log}
for word; do
  case "$word" in *.cpp) source="$word" ;; esac
done
made={made}/$(cksum < "$source" | tr ' ' -)
[ -f "$made" ] || {{ {compiler} "$@" -O0 -w && cp "$word" "$made.$$" && mv "$made.$$" "$made"; }} || exit 1
cp "$made" "$word"
"""


@pytest.fixture(autouse=True)
def one_thread():
    """Tests share the machine with one another; and torch's own threads do not outlive a fork. What is being compiled
    ahead is for the test's own compiler."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    kernels.wait_for_all()


def forget_what_is_known():
    """As in a process that has not asked yet where the cache and the compiler are."""
    toolchain.compiler.cache_clear()
    cache.folder.cache_clear()
    cache._has_left = False


@contextlib.contextmanager
def attentions_of_its_own():
    """Those that are made meanwhile serve no recorded program of later tests: kernels of the quick compiler round
    differently."""
    before, held = dict(KNOWN), dict(operators._held)
    yield
    KNOWN.clear()
    KNOWN.update(before)
    operators._held.clear()
    operators._held.update(held)


class Workplace:
    """An empty cache and a compiler of a test's own."""

    def __init__(self, folder: Path, made: Path) -> None:
        self.cache = folder / "cache"
        self.log = folder / "log"
        self.compiler = folder / "quick-g++"
        self.cache.mkdir(mode=0o700)
        self.compiler.write_text(SCRIPT.format(log=self.log, compiler=COMPILER, made=made))
        self.compiler.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "ATTNC_CACHE_DIR": str(self.cache), "ATTNC_CXX": str(self.compiler)}

    def builds(self) -> list[str]:
        """The commands that the compiler was called with, but for the pool's."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if "-pthread" not in line]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """What the quick compiler has compiled."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="session")
def imported():
    """The compiler's modules, so that forked children need not import them again."""
    probe().source()


@pytest.fixture
def workplace(tmp_path, monkeypatch, made, imported):
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    pool.entry_points()  # its threads are those of the whole process, wherever it was built
    kernels.generator_digest()  # forked children take it over, whoever edits attnc meanwhile
    place = Workplace(tmp_path, made)
    for name in ("ATTNC_CACHE_DIR", "ATTNC_CXX"):
        monkeypatch.setenv(name, place.environment[name])
    forget_what_is_known()
    with attentions_of_its_own():
        yield place
    monkeypatch.undo()
    forget_what_is_known()
