"""Tiles follow from the machine's caches: what is read of them, and that kernels of all sizes are right."""

import pytest
import torch

import attnc
from attnc.codegen.cpp.blocks import choose_blocks
from attnc.codegen.cpp.names import USUAL_CACHE, Names
from attnc.runtime import caches

from .probes import expected, is_near, probe, tensors

KIB = 1024


def write_cache(folder, index, level, kind, size, shared):
    place = folder / f"cpu0/cache/index{index}"
    place.mkdir(parents=True)
    for name, text in {"level": level, "type": kind, "size": size, "shared_cpu_list": shared}.items():
        (place / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    "size, shared, siblings, wanted",
    [
        ("512K", "0", {}, 512 * KIB),
        ("2M", "0-1", {0: "0-1", 1: "0-1"}, 2048 * KIB),  # two threads of a core
        ("4M", "0-3", {}, 1024 * KIB),  # a cluster of four cores
        ("2M", "0,4", {0: "0,4", 4: "0,4"}, 2048 * KIB),
    ],
)
def test_a_core_s_part_is_read(tmp_path, size, shared, siblings, wanted):
    write_cache(tmp_path, 0, 1, "Data", "48K", "0")
    write_cache(tmp_path, 1, 1, "Instruction", "32K", "0")
    write_cache(tmp_path, 2, 2, "Unified", size, shared)
    for number, text in siblings.items():
        place = tmp_path / f"cpu{number}/topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(text + "\n")
    assert caches._linux(tmp_path / "cpu0/cache") == wanted


def test_what_cannot_be_read_is_asked_of_the_c_library(tmp_path, monkeypatch):
    write_cache(tmp_path, 2, 2, "Unified", "unknown", "0")
    monkeypatch.setattr(caches.os, "sysconf", lambda name: {"SC_LEVEL2_CACHE_SIZE": 768 * KIB}[name])
    assert caches._linux(tmp_path / "cpu0/cache") == 768 * KIB


def blocks_for(near, compute="float", width=64):
    derivation = attnc.loads("attention sized\n").derivation()
    (run,) = derivation.statements(derivation.plan_forward(())).passes
    return choose_blocks(Names(compute, {"D": width, "E": width}, {}, {}, near_bytes=near), run)


def test_tiles_grow_with_caches_and_shrink_with_widths():
    columns = [blocks_for(kib * KIB).columns for kib in (256, 512, 1024, 2048)]
    assert columns == sorted(columns) and columns[0] == 64 and columns[-1] == 256
    for compute, size in (("float", 4), ("double", 8)):
        for near in (256 * KIB, 512 * KIB, USUAL_CACHE, 4 * USUAL_CACHE):
            for width in (16, 64, 128, 256):
                found = blocks_for(near, compute, width)
                assert found.rows in (96, 48) and found.columns % 32 == 0
                held = found.rows * found.columns + width * (2 * found.columns + 2 * found.rows)
                assert held * size <= near or (found.rows == 48 and found.columns == 4 * found.lanes)


@pytest.mark.parametrize("near", [128 * KIB, 512 * KIB, 4096 * KIB])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels_of_all_sizes_are_right(monkeypatch, workplace, near, dtype):
    monkeypatch.setattr(caches, "near_bytes", lambda: near)
    given = tensors(N=300, D=70, dtype=dtype, learns=True)
    out, wanted = probe()(*given, window=200), expected(*given, window=200)
    assert is_near(out, wanted)
    cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = torch.autograd.grad(out, given, cotangent.to(dtype))
    assert all(is_near(a, b, 1e-3) for a, b in zip(found, torch.autograd.grad(wanted, given, cotangent)))


def test_another_cache_is_another_kernel(monkeypatch, workplace):
    """A cache folder may be shared by machines."""
    given = tensors(D=128)
    for near in (256 * KIB, 2048 * KIB, 256 * KIB):
        monkeypatch.setattr(caches, "near_bytes", lambda near=near: near)
        assert is_near(probe()(*given), expected(*given))
    assert len(workplace.builds()) == 2
