"""`attnc new NAME`: a spec to start from."""

from __future__ import annotations

import re
from pathlib import Path

import click

from ..diagnostics import Diagnostic
from ..diagnostics.diagnostic import AttnError

_START = '''"""What this attention computes, in a sentence. Then where it is from."""
attention {name}(window: int = 256)
input     slope[H]
axis      i, j: N
score     s = q[i] @ k[j] / sqrt(D) - slope[h] * (i - j)
mask      j <= i and i - j < window
'''
_TEST = '''"""The kernels of {name} against its dense meaning, on drawn calls."""

from pathlib import Path

import attnc


def test_{name}():
    attnc.testing.assert_matches_reference(attnc.load(Path(__file__).with_name("{file}")))
'''


@click.command(short_help="A spec to start from, and a test of it.")
@click.argument("name")
def new(name: str) -> None:
    """Write NAME.attn and a property test for it, in this folder. What is there already stays as it is."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        note = "a name is made of letters, digits and underscores, and begins with no digit"
        raise AttnError([Diagnostic("bad-name", f"'{name}' is no name", (), note)])
    spec, test = Path(f"{name}.attn"), Path(f"test_{name}.py")
    for path in (spec, test):
        if path.exists():
            raise AttnError([Diagnostic("file-exists", f"'{path}' is there already and is left as it is")])
    text = _START.format(name=name)
    from attnc.grammar.parser import parse

    parse(text, str(spec))
    spec.write_text(text, encoding="utf-8")
    test.write_text(_TEST.format(name=name, file=spec), encoding="utf-8")
    click.echo(f"wrote {spec} and {test}\nnext: attnc check {spec}, attnc verify {spec}, attnc explain {spec}")
