"""`attnc mask`."""

import numpy as np
import pytest

from .conftest import EXAMPLES

SLIDING = EXAMPLES / "sliding.attn"


def test_pairs_and_tiles(attnc):
    found = attnc("mask", SLIDING, "--shape", "N=96", "--set", "window=10")
    assert found.exit_code == 0 and not found.stderr
    first, *rest = found.stdout.splitlines()
    assert first == "sliding: 96 i by 96 j, 9.93 % of pairs exist"
    drawn, tiles = rest[:32], rest[32:]
    assert all(len(line) <= 66 for line in drawn)
    for y, line in enumerate(drawn):  # three queries a line, one and a half keys a sign
        signs = [x for x, sign in enumerate(line[2:]) if sign != " "]
        assert signs and max(signs) * 1.5 <= 3 * y + 2 and (max(signs) + 1) * 1.5 >= 3 * y
    assert tiles == ["2 tiles of 64 by 256: 0 empty, 2 partial, 0 full", "  ▒", "  ▒"]


def test_tensors_of_a_file(attnc, tmp_path):
    given = tmp_path / "documents.npz"
    np.savez(given, doc=np.arange(320)[None] // 80)
    found = attnc("mask", EXAMPLES / "documents.attn", "--tensors", given)
    assert found.stdout.splitlines()[0] == f"documents: 320 i by 320 j, {100 * 81 / 2 / 320:.2f} % of pairs exist"


@pytest.mark.parametrize("name", ["mask.png", "mask.svg"])
def test_pictures(attnc, tmp_path, name):
    place = tmp_path / name
    assert attnc("mask", SLIDING, "--shape", "N=300", "--set", "window=40", "--out", place).exit_code == 0
    assert place.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")


@pytest.mark.parametrize("name", ["one.npy", "text.npz", "words.npz"])
def test_files_that_hold_no_tensors(attnc, tmp_path, name):
    place = tmp_path / name
    if name == "one.npy":
        np.save(place, np.zeros(3))
    elif name == "words.npz":
        np.savez(place, doc=np.array(["a", "b"]))
    else:
        place.write_text("no archive")
    found = attnc("mask", EXAMPLES / "documents.attn", "--tensors", place)
    assert found.exit_code == 1 and "in --tensors is no .npz file" in found.stderr


def test_a_mask_that_removes_everything(attnc, tmp_path):
    spec = tmp_path / "none.attn"
    spec.write_text("attention none(w: int = 0)\naxis i, j: N\nmask abs(i - j) < w\n")
    assert "the mask removes everything, so the results are 0" in attnc("mask", spec).stdout


@pytest.mark.parametrize(
    "options, words",
    [
        (("--out", "mask.pdf"), "neither a .png nor an .svg file"),
        (("--shape", "N=100000"), "are more than"),
        (("--head", "9"), None),
        (("--set", "width=3"), "has no parameter 'width'"),
    ],
)
def test_refused(attnc, options, words):
    found = attnc("mask", SLIDING, *options)
    if words is None:  # no head matters to this mask
        assert found.exit_code == 0
    else:
        assert found.exit_code == 1 and words in found.stderr


def test_heads_that_are_not_there(attnc, tmp_path):
    spec = tmp_path / "heads.attn"
    spec.write_text("attention heads\naxis i, j: N\ninput w[H]: int\nmask abs(i - j) <= w[h]\n")
    given = tmp_path / "w.npz"
    np.savez(given, w=np.array([1, 5]))
    wide = attnc("mask", spec, "--shape", "N=60", "--tensors", given, "--head", "1").stdout
    narrow = attnc("mask", spec, "--shape", "N=60", "--tensors", given).stdout
    assert "17.50 %" in wide and "4.94 %" in narrow
    found = attnc("mask", spec, "--shape", "N=60", "--tensors", given, "--head", "2")
    assert found.exit_code == 1 and "there is no head 2: there are 2" in found.stderr


def test_what_is_computed_first_is_not_drawn(attnc, tmp_path):
    spec = tmp_path / "top.attn"
    spec.write_text("attention top\naxis i, j: N\nmask topk[j](q[i] @ k[j], 4)\n")
    found = attnc("mask", spec)
    assert found.exit_code == 1 and "cannot be drawn" in found.stderr


def test_sorted_tokens_and_each_head(attnc, tmp_path):
    masks, place = EXAMPLES / "masks", tmp_path / "mask.png"
    grid = ("--shape", "N=576", "--set", "grid_width=24,window=5")
    text = attnc("mask", masks / "neighborhood_2d.attn", *grid, "--out", place).stdout
    assert "tokens as they are sorted for the kernel" in text and place.stat().st_size > 10_000
    each = attnc("mask", masks / "head_mixture.attn", "--shape", "N=100,H=3", "--out", place).stdout
    assert [f"head_mixture, head {n}: 100 i by 100 j" in each for n in range(4)] == [True, True, True, False]
    assert "sorted" not in each
