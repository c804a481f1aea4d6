"""`attnc explain`."""

import pytest

from .conftest import EXAMPLES

SLIDING = EXAMPLES / "sliding.attn"


def test_usual_sizes(attnc):
    found = attnc("explain", EXAMPLES / "causal.attn")
    assert found.exit_code == 0 and not found.stderr
    first, *rest = found.stdout.splitlines()
    assert first.startswith("causal: ") and first.endswith("float32") and "N=1024" in first and "G=8" in first
    assert [line for line in rest if line and not line.startswith(" ")][1:] == [
        "forward",
        "backward",
        "kept for the backward",
        "tiles are for cores with 1024 KiB of second-level cache",
    ]
    assert "50.05 % of pairs exist" in found.stdout


def test_sizes_parameters_and_dtype(attnc):
    found = attnc("explain", SLIDING, "--shape", "B=2, H=4,G=2,N=512", "--set", "window=64", "--dtype", "bfloat16")
    assert found.exit_code == 0
    first = found.stdout.splitlines()[0]
    assert all(text in first for text in ("B=2", "H=4", "G=2", "N=512", "bfloat16"))
    assert "50.10 % of pairs exist" in attnc("explain", SLIDING, "--shape", "N=512").stdout
    assert "11.73 % of pairs exist" in found.stdout


@pytest.mark.parametrize("name", ["sinkhorn", "running_mean", "delta_rule", "received_again"])
def test_steps(attnc, name):
    """Work counts for every step; what an adjoint state needs is told of, too."""
    spec = EXAMPLES.parent / "tests" / "specs" / f"{name}.attn"
    found = attnc("explain", spec, "--shape", "N=96")
    assert found.exit_code == 0 and found.stdout.count("for each ") >= 2
    if name == "sinkhorn":
        work = [attnc("explain", spec, "--set", f"rounds={rounds}").stdout for rounds in (3, 6)]
        few, many = (float(text.split(" GFLOP")[0].rsplit(" ", 1)[1]) for text in work)
        assert 1.4 < many / few < 2


def test_why_there_are_several_passes(attnc, tmp_path):
    def reasons(normalize):
        path = tmp_path / "spec.attn"
        path.write_text(f"attention a normalize p = {normalize}\n")
        lines = attnc("explain", path).stdout.split("backward")[0].splitlines()
        return [line.rpartition(": ")[2] for line in lines if "takes a later pass than" in line]

    assert reasons("softmax[j](s)") == []
    assert reasons("standardize[j](abs(s))") == ["no factor keeps a running sum in step with it"]
    assert set(reasons("standardize[j](s)")) == {"it goes over other tiles"}  # the sum of the keys, for all queries
    assert set(reasons("sparsemax[j](s)")) == {"a root is looked for in passes of its own"}
    assert reasons("softmax[j](s) * softmax[i](s)") == ["it goes over other tiles"]


def test_no_keys(attnc):
    assert attnc("explain", SLIDING, "--shape", "N=0").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shape", "N"), "error[bad-option]: 'N' in --shape is not of the form NAME=VALUE"),
        (("--shape", "N=-3"), "error[bad-option]: the size 'N=-3' in --shape is no number from 0 on"),
        (("--shape", "N=1e3"), "error[bad-option]: the size 'N=1e3' in --shape is no number from 0 on"),
        (("--shape", "Q=3"), "error[unknown-size]: 'sliding' has no size 'Q'"),
        (("--shape", "H=3,G=2"), "error[groups-do-not-divide]: "),
        (("--set", "span=3"), "error[unknown-argument]: 'sliding' has no parameter 'span'"),
        (("--set", "window=3.5"), "error[wrong-parameter]: '3.5' is no int for 'window'"),
    ],
)
def test_mistakes(attnc, arguments, message):
    found = attnc("explain", SLIDING, *arguments)
    assert found.exit_code == 1 and not found.stdout
    assert found.stderr.startswith(message)


@pytest.mark.parametrize(
    ("text", "code"), [("causal=no", 0), ("causal=True", 0), ("causal=maybe", 1), ("kind=b", 0), ("kind=c", 1)]
)
def test_conditions_and_modes(attnc, folder, text, code):
    (folder / "m.attn").write_text(
        'attention m(causal: bool = True, kind: "a" | "b")\n'
        "mask j <= i or not causal\n"
        'score s = q[i] @ k[j] * (1 if kind == "a" else 2)\n'
    )
    found = attnc("explain", "m.attn", "--set", text)
    assert found.exit_code == code, found.output


def test_sorted_tokens(attnc):
    spec = EXAMPLES / "masks" / "neighborhood_2d.attn"
    grid = ("--shape", "N=4096", "--set", "grid_width=64,window=13")
    text = attnc("explain", spec, *grid).stdout
    assert "sorted by the same (i // grid_width) % dilation" in text and "near (i % grid_width) // dilation" in text
    assert "about 8.6 % of tiles of 64 by 64 hold pairs; 20.3 % as tokens come" in text
    assert "order_0_0[j]" in text.split("forward")[1]
    assert "order of tokens" not in attnc("explain", spec, "--shape", "N=64", "--set", "grid_width=8").stdout
