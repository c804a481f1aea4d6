"""Every example of the documentation does what the page says."""

import os
import re

import pytest
import torch
from click.testing import CliRunner

import attnc
from attnc.cli import commands
from attnc.diagnostics import AttnError
from attnc.grammar.formatter import format_file
from attnc.grammar.parser import parse
from attnc.ir.host import evaluate
from attnc.spec import Attention

from .pages import BLOCKS, LANGUAGES, PAGES, blocks, place_of, write_files

SIZES = {"B": 2, "H": 4, "G": 2, "M": 5, "N": 7, "D": 4, "E": 3, "buckets": 8}
OTHER_SIZE = 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(block, folder):
    """The attentions of a block, by name; files that it uses are there."""
    write_files(block.page, folder)
    path = folder / (block.file or "page.attn")
    path.write_text(block.text, encoding="utf-8")
    found = attnc.load(path)
    return {found.name: found} if isinstance(found, Attention) else dict(found)


def draw(attention):
    """Tiny tensors in the order of the call, and parameters that have no default; integers are positions."""
    card = attention.card()
    is_one_sequence = any(requirement.text == "M == N" for requirement in card.requirements)
    sizes = {**SIZES, "M": SIZES["N"]} if is_one_sequence else SIZES
    known = {p.name: p.default if p.default is not None else 2 for p in card.parameters}
    random = torch.Generator().manual_seed(0)
    tensors = []
    for item in card.inputs:
        for size in item.sizes:
            if isinstance(size, str):
                known.setdefault(size, sizes.get(size, OTHER_SIZE))
        shape = [int(evaluate(size, known)) for size in item.sizes]
        if item.type == "float":
            tensors.append(torch.randn(shape, generator=random, dtype=torch.float64))
        elif item.type == "int":
            tensors.append(torch.randint(0, 3, shape, generator=random))
        else:
            tensors.append(torch.rand(shape, generator=random) > 0.3)
    return tensors, {p.name: 2 for p in card.parameters if p.default is None and p.type in ("int", "float")}


def test_every_fence_is_known():
    assert {block.language for block in BLOCKS} <= set(LANGUAGES)
    assert [block.place for block in blocks("attn", "wrong") if block.file is None] == []


@pytest.mark.parametrize("block", blocks("attn", without=("wrong", "refused", "part")), ids=place_of)
def test_specs_run(block, folder):
    if "attention " not in block.text:
        (folder / "own.attn").write_text(block.text)
        assert CliRunner().invoke(commands, ["check", "own.attn"]).exit_code == 0
        return
    for attention in load(block, folder).values():
        tensors, parameters = draw(attention)
        found = attention.reference(*tensors, **parameters)
        for result in found if isinstance(found, tuple) else (found,):
            assert not result.isnan().any()


@pytest.mark.skipif(not os.environ.get("ATTNC_DOCS_KERNELS"), reason="ATTNC_DOCS_KERNELS=1 builds them: two minutes")
@pytest.mark.parametrize("block", blocks("attn", without=("wrong", "refused", "part")), ids=place_of)
def test_specs_have_right_kernels(block, folder):
    for attention in load(block, folder).values() if "attention " in block.text else ():
        tensors, parameters = draw(attention)
        learned = [t.requires_grad_() if t.is_floating_point() else t for t in tensors]
        attnc.verify(attention, *learned, **parameters)


@pytest.mark.parametrize("block", blocks("attn", without=("wrong", "part")), ids=place_of)
def test_specs_are_laid_out(block):
    assert format_file(parse(block.text)) == block.text


@pytest.mark.parametrize("block", blocks("attn", "refused"), ids=place_of)
def test_refused_specs_are_refused_by_name(block, folder):
    for attention in load(block, folder).values():
        with pytest.raises(AttnError) as caught:
            attention.card()
        assert caught.value.diagnostics[0].title == f"{attention.tree.doc} cannot be compiled yet"


@pytest.mark.parametrize("block", blocks("attn", "wrong"), ids=place_of)
def test_wrong_specs_have_the_message_shown(block, folder):
    shown = BLOCKS[BLOCKS.index(block) + 1]
    assert shown.page == block.page and shown.language == "text"
    write_files(block.page, folder)
    done = CliRunner().invoke(commands, ["check", block.file])
    assert done.exit_code == 1 and done.stderr == shown.text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python(page, folder):
    """All of a page's Python as one program whose lines are the page's, so that decorated functions have a source."""
    lines = []
    for block in BLOCKS:
        if block.page == page and block.language == "python":
            lines += [""] * (block.line - 1 - len(lines)) + block.text.split("\n")[:-1]
    if not lines:
        pytest.skip("this page holds no Python")
    write_files(page, folder)
    program = folder / f"{page.stem.lower()}_page.py"
    program.write_text("\n".join(lines) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    exec(compile(program.read_text(encoding="utf-8"), str(program), "exec"), {"__name__": program.stem})


def sessions(text):
    """(command, output) of a console block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def pattern_of(shown):
    """A line "..." stands for any lines, "…" within a line for any text."""
    pieces = []
    for line in shown.rstrip("\n").split("\n"):
        pieces.append("(?:.*\n)*?" if line.strip() == "..." else re.escape(line).replace("…", ".*?") + "\n")
    return re.compile("".join(pieces))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_console(page, folder):
    """The page's commands, in order, in one folder that holds its named specs."""
    write_files(page, folder)
    for block in BLOCKS:
        if block.page != page or block.language != "console":
            continue
        for command, shown in sessions(block.text):
            word, *arguments = command.split()
            assert word == "attnc", f"{block.place}: only attnc is run here"
            done = CliRunner().invoke(commands, arguments, prog_name="attnc")
            assert done.exception is None or isinstance(done.exception, SystemExit), f"{block.place}: {done.exception}"
            found = "".join(line.rstrip() + "\n" for line in done.output.split("\n")[:-1])
            assert pattern_of(shown).fullmatch(found), f"{block.place}: {command}\n{found}"
