"""The names that editors and linters learn from `attnc.names`."""

import builtins
import copy
import math

import pytest

import attnc.names
from attnc.diagnostics import AttnError
from attnc.names import *  # noqa: F403

USES = [
    lambda word: word(3),
    lambda word: word[3],
    lambda word: word.y,
    lambda word: word + 1,
    lambda word: 1 - word,
    lambda word: word @ word,
    lambda word: -word,
    lambda word: word < 3,
    lambda word: bool(word),
    lambda word: list(word),
    lambda word: abs(word),
    lambda word: round(word),
    lambda word: 3 in word,
    lambda word: float(word),
]


@pytest.mark.parametrize("use", USES)
def test_a_word_means_nothing_in_ordinary_python(use):
    with pytest.raises(AttnError, match=r"'softmax' of attnc\.names only means something inside a decorated function"):
        use(attnc.names.softmax)


def test_every_exported_name_is_there_and_none_is_pythons_own():
    exported = attnc.names.__all__
    assert len(exported) == len(set(exported))
    for name in exported:
        word = getattr(attnc.names, name)
        assert name == "inf" or (isinstance(word, attnc.names.Word) and name in repr(word))
        assert not hasattr(builtins, name)
    words = {name for name, value in vars(attnc.names).items() if isinstance(value, attnc.names.Word)}
    assert words == set(exported) - {"inf"}
    assert attnc.names.inf == math.inf


def test_tools_may_look_at_a_word():
    word = attnc.names.i
    assert not hasattr(word, "__wrapped__") and copy.copy(word) is not None and word in [word] and {word: 1}


def test_every_definition_of_the_prelude_is_a_name():
    """But those that Python has under the same name."""
    from attnc.definitions import prelude

    assert set(prelude()) - set(attnc.names.__all__) <= set(dir(builtins))
