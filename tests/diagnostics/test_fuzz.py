"""Whatever is given to `loads`, it answers with an attention or with `AttnError`."""

from pathlib import Path
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import attnc
from attnc.spec import Attention

from ..grammar import python_examples
from .mangling import WORDS, mangled, shaped

PYTHON_WORDS = [
    "",
    "lambda: 0",
    "yield",
    "x := 1",
    "*q",
    "f''",
    "[i for i in j]",
    "{}",
    "...",
    "\\\\",
    "(",
    "'''",
    "return",
]

bounded = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


def answer(text):
    """Loads a text and derives what its kernels compute; mistakes have a text and at least one place to look."""
    try:
        found = attnc.loads(text)
        for attention in [found] if isinstance(found, Attention) else found.values():
            attention.derivation().forward  # noqa: B018
    except attnc.AttnError as error:
        assert error.diagnostics and str(error).startswith("error[")


@given(st.text() | st.binary())
@settings(max_examples=100, **bounded)
def test_any_text(text):
    answer(text)


@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
@settings(max_examples=100, **bounded)
def test_any_words(text):
    answer(f"attention a {text}")


@given(mangled())
@settings(max_examples=300, **bounded)
def test_mangled_specs(text):
    answer(text)


@given(shaped)
@settings(max_examples=250, **bounded)
def test_texts_of_the_shape_of_a_spec(text):
    answer(text)


FUNCTIONS = [
    part for part in Path(python_examples.__file__).read_text().split("\n\n\n") if part.startswith("@attention")
]


@given(st.data())
@settings(max_examples=80, **bounded)
def test_mangled_functions(tmp_path_factory, data):
    """The file is changed after Python has read it, so that anything can stand where the function stood."""
    whole = data.draw(st.sampled_from(FUNCTIONS))
    lines = whole.split("\n")
    for _ in range(data.draw(st.integers(1, 2))):
        n = data.draw(st.integers(1, len(lines) - 1))
        words = lines[n].split(" ")
        place = data.draw(st.integers(0, len(words) - 1))
        words[place] = data.draw(st.sampled_from([*WORDS, *PYTHON_WORDS]))
        lines[n] = " ".join(words)
    path = tmp_path_factory.mktemp("mangled") / "mangled.py"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = {"attention": lambda function: function, "Literal": Literal}
    exec(compile(whole, str(path), "exec"), names)
    function = next(value for name, value in names.items() if name not in ("attention", "Literal", "__builtins__"))
    try:
        attnc.attention(function).derivation().forward  # noqa: B018
    except attnc.AttnError as error:
        assert str(error).startswith("error[")
