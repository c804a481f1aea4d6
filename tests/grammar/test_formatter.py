"""The canonical layout: the same tree, idempotent, every comment kept in order."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnc.diagnostics import AttnError, Source
from attnc.grammar.formatter import format_expression, format_file
from attnc.grammar.parser import parse, parse_expression
from attnc.grammar.scanner import END, scan
from attnc.grammar.tree import Attention, File, Let, Name, Text

from .strategies import expressions, files

LANGUAGE = sorted((Path(__file__).parent / "language").glob("*.attn"))
LAYOUT = Path(__file__).parent / "layout"
relaxed = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@given(files())
@relaxed
def test_printing_and_parsing_gives_the_same_tree(file):
    text = format_file(file)
    parsed = parse(text)
    assert repr(parsed) == repr(file)
    assert parsed == file
    assert format_file(parsed) == text


@given(expressions)
@relaxed
def test_expression_on_one_line(expr):
    assert repr(parse_expression(format_expression(expr))) == repr(expr)


@given(files(), st.data())
@relaxed
def test_comments_are_kept_in_order(file, data):
    text = with_comments(format_file(file), data)
    parsed = parse(text)
    assert repr(parsed.items) == repr(file.items)
    printed = format_file(parsed)
    again = parse(printed)
    assert [one.text for one in again.comments] == [one.text for one in parsed.comments]
    assert repr(again.items) == repr(file.items) and again.doc == file.doc
    assert format_file(again) == printed


def with_comments(text, data):
    """The text with comments between random tokens, on lines of their own or behind something."""
    tokens = scan(Source("", text)).tokens
    places = data.draw(st.lists(st.sampled_from([token.span.start for token in tokens]), unique=True, max_size=6))
    for number, place in sorted(enumerate(sorted(places)), reverse=True):
        before = data.draw(st.sampled_from([" ", "\n", "\n\n"]))
        after = data.draw(st.sampled_from(["\n", "\n\n", "\n# another\n"]))
        text = f"{text[:place]}{before}# number {number}{after}{text[place:]}"
    assert scan(Source("", text)).tokens[-1].type == END
    return text


@pytest.mark.parametrize("path", LANGUAGE, ids=lambda path: path.stem)
def test_examples_of_the_language(path):
    parsed = parse(path.read_text())
    printed = format_file(parsed)
    again = parse(printed)
    assert repr(again.items) == repr(parsed.items) and again == parsed
    assert [one.text for one in again.comments] == [one.text for one in parsed.comments]
    assert format_file(again) == printed


@pytest.mark.parametrize("path", sorted(LAYOUT.glob("*.attn")), ids=lambda path: path.stem)
def test_layout(path):
    """Each file lies beside its canonical form."""
    assert format_file(parse(path.read_text())) == path.with_suffix(".formatted").read_text()


def test_strings_that_no_quotes_can_hold():
    for text in ("both ' and \"", "a\\b", "two\nlines"):
        with pytest.raises(AttnError, match="cannot be written"):
            format_expression(Text(text))
    attention = Attention("a", (), (Let("let", "x", None, Name("y")),), doc="both ''' and \"\"\"")
    with pytest.raises(AttnError, match="unwritable-text"):
        format_file(File((attention,)))
