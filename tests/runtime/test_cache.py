"""The cache on disk: whatever has become of an entry, the next process computes right."""

import atexit
import json
import os
import shutil
import stat
import time
from pathlib import Path

import pytest

import attnc
from attnc.runtime import cache, kernels, pool, toolchain

from .children import finish, in_child, in_process, start
from .conftest import forget_what_is_known
from .probes import PROBE, works


def replace(path: Path, data: bytes) -> None:
    """By a new file: processes may have the old one mapped."""
    path.unlink()
    path.write_bytes(data)


def binary_of(place):
    (found,) = place.cache.glob("*.so")
    return found


def manifest_of(place):
    (found,) = (path for path in place.cache.glob("*.json") if "binary" in json.loads(path.read_text()))
    return found


def write_whole(path: Path, data: bytes) -> None:
    """An entry that is not what it was, but has its checksum."""
    path.unlink()
    cache.store(path.name, data)


DAMAGES = {
    "binary cut short": lambda place: replace(binary_of(place), binary_of(place).read_bytes()[:5000]),
    "binary empty": lambda place: replace(binary_of(place), b""),
    "binary changed": lambda place: replace(binary_of(place), binary_of(place).read_bytes()[:-1] + b"x"),
    "binary gone": lambda place: binary_of(place).unlink(),
    "binary is no library": lambda place: write_whole(binary_of(place), b"no library"),
    "binary's checksum gone": lambda place: Path(f"{binary_of(place)}.sum").unlink(),
    "binary's checksum another's": lambda place: replace(Path(f"{binary_of(place)}.sum"), b"0" * 64),
    "checksum is no text": lambda place: replace(Path(f"{binary_of(place)}.sum"), b"\xff\xfe\x00"),
    "everything gone": lambda place: [path.unlink() for path in place.cache.iterdir()],
}
MANIFEST_DAMAGES = {
    "manifest cut short": lambda place: replace(manifest_of(place), manifest_of(place).read_bytes()[:40]),
    "manifest is no JSON": lambda place: write_whole(manifest_of(place), b"\x00{]"),
    "manifest of another kind": lambda place: write_whole(manifest_of(place), b"[1, 2]"),
    "manifest without its parts": lambda place: write_whole(
        manifest_of(place), json.dumps({"binary": binary_of(place).name}).encode()
    ),
    "manifest's checksum gone": lambda place: Path(f"{manifest_of(place)}.sum").unlink(),
}


@pytest.fixture
def filled(workplace):
    """A cache that holds one kernel."""
    assert in_child(works)
    assert len(workplace.builds()) == 1
    return workplace


def test_a_second_process_finds_the_kernel(filled):
    assert in_child(lambda: works() and toolchain.build_count()) == toolchain.build_count()
    assert len(filled.builds()) == 1


def test_damaged_entries_are_made_again(filled):
    for count, (name, damage) in enumerate(DAMAGES.items(), start=2):
        damage(filled)
        assert in_child(works), name
        assert len(filled.builds()) == count, name
        assert in_child(works), name
        assert len(filled.builds()) == count, name


def test_damaged_manifests_are_made_again(filled):
    """The binary is found by its source, so nothing is compiled."""
    for name, damage in MANIFEST_DAMAGES.items():
        damage(filled)
        assert in_child(works), name
        assert json.loads(manifest_of(filled).read_text())["binary"] == binary_of(filled).name, name
    assert len(filled.builds()) <= 2  # a manifest without its parts speaks against its binary too


def test_the_pool_is_made_again(workplace):
    def use():
        pool.library.cache_clear()
        pool.entry_points.cache_clear()
        return works()

    assert in_child(use)
    entry = next(path for path in workplace.cache.glob("*.json") if path.read_text().startswith('"'))
    library = workplace.cache / json.loads(entry.read_text())
    for damage in (
        lambda: library.unlink(),
        lambda: write_whole(library, b"no library"),
        lambda: write_whole(entry, b"{}"),
        lambda: write_whole(entry, b'"missing.so"'),
    ):
        damage()
        assert in_child(use)


def test_processes_at_once_build_once(workplace):
    children = [start(works) for _ in range(4)]
    assert all(finish(*child) for child in children)
    assert len(workplace.builds()) == 1
    assert not list(workplace.cache.glob("*.lock"))


# --- a process that finds everything ----------------------------------------------------------------------------------

FRESH = """
import sys
import attnc, attnc.spec, attnc.loading
def refuse(*_):
    raise AssertionError("compiled again")
attnc.spec.lower = attnc.loading.lower = refuse
attention = attnc.load({path!r})
assert "torch" not in sys.modules
import torch
torch.manual_seed(0)
q, k, v = (torch.randn(1, 2, 5, 8, requires_grad=True) for _ in range(3))
attention(q, k, v, torch.ones(2), window=3).sum().backward()
from attnc.runtime.toolchain import build_count
assert build_count() == 0 and q.grad.abs().sum() > 0
print(sorted({{"lark", "sympy", "networkx", "triton", "attnc.grammar.parser", "subprocess"}} & set(sys.modules)))
"""


def test_a_known_spec_is_neither_parsed_nor_compiled(workplace, tmp_path):
    """Not even with a compiler at hand: the second process has none."""
    path = tmp_path / "probe.attn"
    path.write_text(PROBE)

    def make():
        kernels.generator_digest.cache_clear()  # as the other process will find it
        pool.library.cache_clear()
        pool.entry_points.cache_clear()
        import torch

        q, k, v = (torch.ones(1, 2, 5, 8, requires_grad=True) for _ in range(3))
        attnc.load(path)(q, k, v, torch.ones(2)).sum().backward()

    in_child(make)
    workplace.compiler.unlink()
    modules = in_process(FRESH.format(path=str(path)), {**workplace.environment, "PATH": ""})
    assert not {"lark", "sympy", "networkx", "triton", "attnc.grammar.parser"} & set(eval(modules))


# --- the folder -------------------------------------------------------------------------------------------------------


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A folder that ATTNC_CACHE_DIR names, not made yet."""
    path = tmp_path / "named"
    monkeypatch.setenv("ATTNC_CACHE_DIR", str(path))
    forget_what_is_known()
    yield path
    monkeypatch.undo()
    forget_what_is_known()


def is_private(path: Path) -> bool:
    found = path.stat()
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def test_the_folder_is_made_private(named):
    assert cache.folder() == named and is_private(named)


def test_the_usual_folder(named, monkeypatch, tmp_path):
    monkeypatch.delenv("ATTNC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "attnc"


def test_a_relative_folder_stays_where_it_was(named, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTNC_CACHE_DIR", "here")
    cache.store("entry", b"data")
    monkeypatch.chdir("/")
    assert cache.load("entry") == b"data"


def others(path, monkeypatch):
    path.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)


UNFIT = {
    "group may write": lambda path, _: (path.mkdir(), path.chmod(0o770)),
    "all may write": lambda path, _: (path.mkdir(), path.chmod(0o777)),
    "not writable": lambda path, monkeypatch: (path.mkdir(), monkeypatch.setattr(os, "access", lambda *_: False)),
    "another's": others,
    "a file": lambda path, _: path.write_text("a file"),
    "below a file": lambda path, monkeypatch: (
        path.write_text("a file"), monkeypatch.setenv("ATTNC_CACHE_DIR", str(path / "below"))
    ),
    "none wanted": lambda path, monkeypatch: monkeypatch.setenv("ATTNC_CACHE_DIR", ""),
    "no home": lambda path, monkeypatch: (
        [monkeypatch.delenv(name, raising=False) for name in ("ATTNC_CACHE_DIR", "XDG_CACHE_HOME")],
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home"))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_a_folder_of_the_process_alone_instead(named, monkeypatch, case):
    UNFIT[case](named, monkeypatch)

    def use():
        found = cache.folder()
        monkeypatch.undo()
        assert found != named and is_private(found) and cache.folder() == found
        cache.store("entry", b"data")
        assert cache.load("entry") == b"data"
        atexit._run_exitfuncs()
        return found

    assert not in_child(use).exists()
    assert not named.is_dir() or not list(named.iterdir())


def test_kernels_without_a_folder(workplace, monkeypatch):
    monkeypatch.setenv("ATTNC_CACHE_DIR", "")

    def use():
        forget_what_is_known()
        result = works()
        atexit._run_exitfuncs()
        return result

    assert in_child(use)
    assert not list(workplace.cache.iterdir())


def test_a_folder_that_goes_away(workplace):
    """Another folder takes its place; a kernel is built in it."""

    def use():
        assert works()
        shutil.rmtree(workplace.cache)
        assert works(D=9) and works()
        return cache.folder() != workplace.cache

    assert in_child(use)


# --- entries ----------------------------------------------------------------------------------------------------------


def age(name, seconds):
    before = time.time() - seconds
    for path in (cache.path_of(name), cache.path_of(name + ".sum")):
        os.utime(path, (before, before))


def test_pruning_keeps_what_was_used_last(named):
    for number in range(6):
        cache.store(f"entry{number}", bytes(1000))
        age(f"entry{number}", 1000 - number)
    (cache.folder() / ".new-left").write_bytes(bytes(500))  # of a process that was killed while it wrote
    os.utime(cache.folder() / ".new-left", (0, 0))
    assert cache.load("entry0") is not None  # used now, though written first
    cache.prune(4 * 1064)
    assert [n for n in range(6) if cache.load(f"entry{n}") is not None] == [0, 3, 4, 5]
    assert len(list(cache.folder().iterdir())) == 8
    cache.prune(0)
    assert not list(cache.folder().iterdir())


def test_pruning_comes_with_storing(named, monkeypatch):
    pruned = []
    monkeypatch.setattr(cache, "prune", lambda: pruned.append(1))
    for number in range(130):
        cache.store("entry", b"%d" % number)
    assert 2 <= len(pruned) <= 3


def test_a_reader_sees_all_or_nothing(named):
    """Writers replace an entry again and again; what is read is one of what they wrote."""
    wanted = [bytes([n]) * 20000 for n in range(2)]

    def write(data):
        for _ in range(100):
            cache.store("entry", data)

    cache.store("entry", wanted[0])
    writers = [start(lambda data=data: write(data)) for data in wanted]
    found = [cache.load("entry") for _ in range(300)]
    for writer in writers:
        finish(*writer)
    assert set(found) <= {*wanted, None}


def test_names_tell_parts_apart():
    assert cache.digest("ab", "c") != cache.digest("a", "bc") != cache.digest("abc")
    assert cache.digest("a", b"b") == cache.digest("a", "b")


def test_what_cannot_be_stored_is_made_again(named, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    cache.store_json("entry", {"a": 1})
    assert cache.load_json("entry") is None
    with pytest.raises(OSError, match="No space left"):
        cache.store("entry", b"data")
