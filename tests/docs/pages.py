"""The pages of the documentation and the fenced blocks in them.

What a fence says after its three marks decides what is done with it:

    attn                  a spec that loads, is laid out canonically, and runs on tiny inputs
    attn NAME.attn        the same; the page's other blocks find it as a file
    attn NAME.attn wrong  a spec that is refused with the message in the next fence (text)
    attn refused          specs that are well-formed and not compiled yet; each docstring names the construct
    attn part             clauses or definitions by themselves: not a file
    python                run in order, in one namespace for the page
    console               `$ attnc …` and what it prints; a line "..." stands for any lines, "…" for any text
    text, sh, cpp         not run
"""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = ("attn", "python", "console", "text", "sh", "cpp")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, its text, and the line of the page where the text begins."""

    page: Path
    language: str
    words: tuple[str, ...]
    text: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def file(self) -> str | None:
        return next((word for word in self.words if word.endswith(".attn")), None)


def blocks_of(page):
    """Every block of a page, in order."""
    found = []
    begun = None
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
        if not line.startswith("```"):
            continue
        if begun is None:
            begun = number, line[3:].split()
            continue
        assert line == "```", f"{page.name}:{number}: a fence ends with three marks"
        first, (language, *words) = begun
        lines = page.read_text(encoding="utf-8").split("\n")[first : number - 1]
        found.append(Block(page, language, tuple(words), "\n".join(lines) + "\n", first + 1))
        begun = None
    assert begun is None, f"{page.name}: the last fence does not end"
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks(language, *words, without=()):
    """Blocks of a language that have these words and none of the others."""
    return [
        block
        for block in BLOCKS
        if block.language == language and set(words) <= set(block.words) and not set(without) & set(block.words)
    ]


def place_of(block):
    return block.place


def write_files(page, folder):
    """The page's named specs, and the examples, as files that its commands find."""
    (folder / "examples").symlink_to(ROOT / "examples")
    for block in BLOCKS:
        if block.page == page and block.language == "attn" and block.file is not None:
            (folder / block.file).write_text(block.text, encoding="utf-8")
