"""Every stage over every spec of the corpus."""

import pytest

from attnc.grammar.formatter import format_file
from attnc.grammar.parser import parse
from attnc.ir.verifier import verify
from attnc.runtime.verify import measure

from ..corpus import NAMES, attentions, draw

every = pytest.mark.parametrize("name", NAMES)


@every
def test_the_text_is_kept_by_printing(name):
    text = attentions()[name].text
    assert format_file(parse(text)) == text


@every
def test_the_graph_is_sound_after_every_stage(name):
    derivation = attentions()[name].derivation()
    verify(derivation.meaning.roots)
    verify(node for node, _ in derivation.forward.values())
    wanted = [declared.name for declared in derivation.meaning.inputs if declared.tensor.type == "float"]
    gradient = derivation.gradient(wanted)
    verify(target.node for target in gradient.targets)
    verify(saved.node for saved in gradient.kept)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("specs/")])  # tests/examples has the others
def test_kernels_match_the_meaning(name):
    """Within one tile, and over several (what runs along goes wrong only there)."""
    attention = attentions()[name]
    for sizes in ({}, {"B": 1, "H": 2, "G": 1, "M": 34, "N": 270}):
        for error in measure(attention, draw(attention, sizes), {}):
            assert error.is_good, error
