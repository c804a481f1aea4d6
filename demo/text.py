"""Real text that every machine has: the source files of Python's own standard library."""

from __future__ import annotations

import random
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import torch

LETTERS = "\n" + "".join(chr(code) for code in range(32, 127))
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
_MOST_CHARACTERS = 4_000_000
_HELD_OUT = 0.05


@dataclass(frozen=True)
class Corpus:
    """Numbers of characters: those to train on, and the end of the text, which is never trained on."""

    train: torch.Tensor
    held_out: torch.Tensor
    files: int

    @property
    def size(self) -> int:
        return len(self.train) + len(self.held_out)


def read_corpus(most: int = _MOST_CHARACTERS) -> Corpus:
    """The standard library's files one after another, in an order that depends on their names alone."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for path in folder.rglob("*.py") if not _LEFT_OUT & set(path.relative_to(folder).parts)]
    paths.sort(key=lambda path: path.relative_to(folder).as_posix())
    random.Random(0).shuffle(paths)
    parts, total = [], 0
    for path in paths:
        if total >= most:
            break
        parts.append(path.read_bytes().expandtabs(4))
        total += len(parts[-1])
    text = encode(b"".join(parts)[:most])
    edge = int(len(text) * (1 - _HELD_OUT))
    return Corpus(text[:edge], text[edge:], len(parts))


def encode(text: str | bytes) -> torch.Tensor:
    """Numbers of a text's characters; what is not printable ASCII or a line's end is left out."""
    data = text.encode("ascii", errors="ignore") if isinstance(text, str) else text
    numbers = torch.full((256,), -1)
    numbers[list(LETTERS.encode("ascii"))] = torch.arange(len(LETTERS))
    found = numbers[torch.frombuffer(bytearray(data), dtype=torch.uint8).long()]
    return found[found >= 0]


def decode(numbers: list[int]) -> str:
    return "".join(LETTERS[number] for number in numbers)


def draw(text: torch.Tensor, batch: int, length: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """`batch` random pieces of a text, and the character that follows each of their characters."""
    starts = torch.randint(len(text) - length, (batch, 1), generator=generator)
    pieces = text[starts + torch.arange(length + 1)]
    return pieces[:, :-1].contiguous(), pieces[:, 1:].contiguous()
