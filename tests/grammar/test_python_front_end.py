"""Decorated functions give the trees of their texts, at the places of the user's own file, and never run."""

from dataclasses import replace
from pathlib import Path

import pytest

from attnc.grammar.parser import parse
from attnc.grammar.python_front_end import parse_define, parse_function
from attnc.grammar.tree import Let

from . import python_examples

LANGUAGE = Path(__file__).parent / "language"
ATTENTIONS = [
    "agent", "causal", "defaults", "delta_rule", "differential", "everything", "moba", "optimal_transport", "retention",
    "sliding", "talking_heads",
]  # fmt: skip


def without_indices_of_aggregate(attention):
    clauses = tuple(
        replace(one, indices=None) if isinstance(one, Let) and one.role == "aggregate" else one
        for one in attention.clauses
    )
    return replace(attention, clauses=clauses)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_function_gives_the_tree_of_its_text(name):
    (from_text,) = parse((LANGUAGE / f"{name}.attn").read_text()).items
    (from_python,) = parse_function(getattr(python_examples, name)).items
    assert repr(from_python) == repr(without_indices_of_aggregate(from_text))


@pytest.mark.parametrize("define", parse((LANGUAGE / "definitions.attn").read_text()).items, ids=lambda one: one.name)
def test_define_gives_the_tree_of_its_text(define):
    function = getattr(python_examples, define.name)
    assert repr(parse_define(function, function.axes).items[0]) == repr(define)
