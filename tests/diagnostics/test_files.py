"""Files that cannot be read, several attentions in one, and names that mean nothing outside."""

import os

import pytest

import attnc


def said(action):
    with pytest.raises(attnc.AttnError) as caught:
        action()
    return str(caught.value)


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = "error[unreadable-file]: 'none.attn' cannot be read: No such file or directory"
    assert said(lambda: attnc.load("none.attn")) == expected
    os.mkdir("folder.attn")
    assert said(lambda: attnc.load("folder.attn")) == expected.replace("none", "folder").replace(
        "No such file or directory", "Is a directory"
    )
    assert said(lambda: attnc.load("a\0b.attn")).startswith("error[unreadable-file]: 'a")


def test_a_used_file_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.attn").symlink_to("loop.attn")
    (tmp_path / "spec.attn").write_text('use "loop.attn"\nattention a\n')
    assert said(lambda: attnc.load("spec.attn")).startswith("error[bad-use]: there is no file 'loop.attn' beside")


TWO = "attention first\nattention second\noutput p\n"


def test_several_attentions():
    found = attnc.loads(TWO)
    assert list(found) == ["first", "second"]
    assert (
        said(lambda: found["secund"])
        == """\
error[unknown-attention]: there is no attention 'secund' here
  = note: there are first, second
  = help: did you mean 'second'?"""
    )


def test_definitions_mean_nothing_outside():
    @attnc.define("j")
    def mine(s):
        return s / sum[j](s)  # noqa: F821

    expected = "error[outside-attention]: 'mine' only means something inside a decorated attention"
    assert said(lambda: mine(3)) == expected
    assert said(lambda: mine["j"]) == expected
