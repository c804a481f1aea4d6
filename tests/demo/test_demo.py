"""The demo in small: it leaves its pictures, the losses agree, and it fails if they do not."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from demo import __main__ as program
from demo.settings import COMPARED
from demo.text import decode, encode
from demo.tiles import FULL, PARTIAL, counted_tiles, forward_tiles, window_mask
from demo.training import load_example, sdpa

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def test_the_quick_demo(tmp_path):
    command = [sys.executable, "-m", "demo", "--quick", "--threads", "1", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"The losses agree: over the first {COMPARED} steps" in done.stdout
    for part in ("examples/causal.attn", "A sample", "Cost of training", "attnc explain", "Tiles of the masks", "SDPA"):
        assert part in done.stdout
    for name in ("losses.png", "mask.png"):
        data = (tmp_path / "out" / name).read_bytes()
        assert data.startswith(PNG) and len(data) > 10_000


def test_it_fails_if_the_losses_do_not_agree(tmp_path, monkeypatch):
    wrong = {program.SDPA: sdpa, program.CAUSAL: lambda q, k, v: sdpa(1.5 * q, k, v)}
    monkeypatch.setattr(program.Demo, "attentions", lambda self: wrong)
    done = CliRunner().invoke(program.main, ["--quick", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "DO NOT AGREE" in done.output and "A sample" not in done.output
    assert (tmp_path / "losses.png").exists()


@pytest.mark.parametrize("length, window", [(1024, 512), (1000, 77), (90, 1)])
def test_tiles_are_what_the_mask_says_and_the_kernel_counts(length, window):
    sliding = load_example("sliding")
    tiles = forward_tiles(sliding, length, 64, window=window, cap=50.0)
    assert tiles.mistakes(window_mask(length, window)) == 0
    counted = counted_tiles(sliding, length, 64, window=window, cap=50.0)
    assert counted == (tiles.count(FULL), tiles.count(PARTIAL))


def test_mistakes_are_counted():
    tiles = forward_tiles(load_example("causal"), 1024, 64)
    assert tiles.mistakes(window_mask(1024, 1024)) == 0
    assert tiles.mistakes(window_mask(1024, 512)) > 0


def test_text_goes_to_numbers_and_back():
    assert decode(encode("def café(x):\n\treturn x").tolist()) == "def caf(x):\nreturn x"
