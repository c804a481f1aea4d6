"""The examples: the oracle of each, and what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from . import oracles
from .judge import Trial


def normal(random, shape):
    return torch.randn(shape, generator=random)


def positive(random, shape):
    return 0.5 + torch.rand(shape, generator=random)


def documents(random, shape):
    """Three documents one behind the other, then padding."""
    ends = torch.rand((shape[0], 1, 3), generator=random).sort(-1).values * shape[1]
    numbers = (torch.arange(shape[1])[None, :, None] >= ends).sum(-1)
    return torch.where(numbers == 3, -1, numbers)


def lengths(random, shape):
    """Some of no length, some longer than any sequence here."""
    return torch.randint(-3, 60, shape, generator=random)


@dataclass(frozen=True)
class Example:
    """`inputs` names each input with a letter for each axis; `sizes` are letters of its own; `draws` says how what is
    not normally distributed is drawn."""

    name: str
    oracle: Callable[..., Any]
    inputs: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    draws: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    file: str | None = None

    @property
    def axes(self) -> dict[str, str]:
        return dict(item.rstrip("]").split("[") for item in self.inputs.split())

    @property
    def has_own_queries(self) -> bool:
        """Whether queries and keys are two sequences."""
        return "M" in self.axes["q"]


ODD = {"B": 2, "H": 6, "G": 2, "M": 37, "N": 53, "D": 12, "E": 10}
SELF = "q[BHND] k[BGND] v[BGNE]"
CROSS = "q[BHMD] k[BGND] v[BGNE]"
EXAMPLES = [
    Example("causal", oracles.causal, SELF),
    Example("cross", oracles.cross, CROSS),
    Example("generation", oracles.generation, CROSS, {"offset": 16}),
    Example("grouped", oracles.causal, SELF),
    Example("partial", oracles.partial, CROSS),
    Example("sliding", oracles.sliding, SELF, {"window": 13, "cap": 3.0}),
    Example("dilated", oracles.dilated, SELF, {"window": 5, "step": 3}),
    Example("prefix_lm", oracles.prefix_lm, f"{SELF} prefix[B]", draws={"prefix": lengths}),
    Example("documents", oracles.documents, f"{SELF} doc[BN]", draws={"doc": documents}),
    Example("alibi", oracles.alibi, f"{SELF} slope[H]", draws={"slope": positive}),
    Example("pair_bias", oracles.pair_bias, f"{CROSS} bias[HMN]", file="pair_bias"),
    Example("sequence_bias", oracles.sequence_bias, f"{CROSS} bias[BMN]", file="pair_bias"),
    Example("t5_encoder", oracles.t5_encoder, f"{SELF} table[TH]", {"far": 40}, {"T": 16}, file="t5"),
    Example("t5_decoder", oracles.t5_decoder, f"{SELF} table[TH]", {"far": 40}, {"T": 16}, file="t5"),
    Example("shaw", oracles.shaw, f"{SELF} key_table[TD] value_table[TE]", {"clip": 20}, {"T": 41}),
    Example("rotary", oracles.rotary, SELF, {"base": 100.0}),
    Example("two_part", oracles.two_part, f"{SELF} q_rope[BHNR] k_rope[BNR]", sizes={"R": 6}),
    Example("cosine", oracles.cosine, f"{SELF} tau[H] bias[HNN]", draws={"tau": positive}),
    Example("softmax_plus_one", oracles.softmax_plus_one, SELF),
    Example("sink", oracles.sink, f"{SELF} sink[H]"),
    Example("sigmoid", oracles.sigmoid, f"{CROSS} bias[H]"),
    Example("squared_relu", oracles.squared_relu, CROSS),
    Example("cog", oracles.cog, SELF),
    Example("differential", oracles.differential, f"{SELF} q2[BHND] k2[BGND] lam[H]"),
]
BY_NAME = {example.name: example for example in EXAMPLES}


def draw(example, sizes, dtype, seed=0):
    """The example's inputs by name. Whatever the dtype, they are numbers that float32 holds."""
    random = torch.Generator().manual_seed(seed)
    sizes = {**sizes, **example.sizes}
    inputs = {}
    for name, letters in example.axes.items():
        shape = tuple(sizes[letter] for letter in letters)
        tensor = example.draws.get(name, normal)(random, shape)
        inputs[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    return inputs


def trials(example, sizes, dtype, seeds=range(4), **parameters):
    """Draws of an example, to be judged together."""
    given = {**example.parameters, **parameters}
    return [Trial(example.oracle, draw(example, sizes, dtype, seed), given) for seed in seeds]
