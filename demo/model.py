"""A small transformer of the usual kind: pre-norm blocks, rotary positions, whatever attention it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .text import LETTERS

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q, k, v [B, H, N, D] -> out [B, H, N, D], causal."""


@dataclass(frozen=True)
class Shape:
    """The size of a model and of a batch of its input."""

    layers: int
    heads: int
    batch: int
    length: int
    head_width: int = 64

    @property
    def width(self) -> int:
        return self.heads * self.head_width


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.merge = nn.Linear(width, width, bias=False)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, turn: Tensor, attend: Attend) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = attend(rotate(q, turn), rotate(k, turn), v)
        x = x + self.merge(mixed.transpose(1, 2).flatten(2))
        widened: Tensor = self.narrow(F.gelu(self.widen(self.norm2(x))))
        return x + widened


class Transformer(nn.Module):
    """Scores for the next character after each of a batch of texts [B, N]."""

    def __init__(self, shape: Shape, attend: Attend) -> None:
        super().__init__()
        self.attend = attend
        self.letters = nn.Embedding(len(LETTERS), shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, len(LETTERS), bias=False)
        self.register_buffer("turn", turns(shape.length, shape.head_width), persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                small = name.endswith(("merge.weight", "narrow.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * shape.layers) ** 0.5 if small else 0.02)

    def forward(self, text: Tensor) -> Tensor:
        x = self.letters(text)
        turn = self.get_buffer("turn")[:, : text.shape[1]]
        for block in self.blocks:
            x = block(x, turn, self.attend)
        return self.head(self.norm(x))  # type: ignore[no-any-return]

    def loss(self, text: Tensor, following: Tensor) -> Tensor:
        """The mean cross entropy of the following characters, in nats."""
        return F.cross_entropy(self(text).flatten(0, 1), following.flatten())

    @torch.no_grad()
    def continue_text(self, start: Tensor, count: int, temperature: float, seed: int) -> list[int]:
        """`count` more characters, each drawn with all before it in view (as many as the model has positions for)."""
        generator = torch.Generator().manual_seed(seed)
        most = self.get_buffer("turn").shape[1]
        text = start
        for _ in range(count):
            scores = self(text[None, -most:])[0, -1] / temperature
            drawn = torch.multinomial(scores.softmax(-1), 1, generator=generator)
            text = torch.cat([text, drawn])
        return [int(number) for number in text]


def turns(length: int, width: int) -> Tensor:
    """Cosines and sines [2, N, D / 2] of the angles by which rotary positions turn pairs of features."""
    rates = 10000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    cos, sin = turn
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
