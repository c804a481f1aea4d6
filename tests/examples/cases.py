"""The examples, the oracle of each, and what they are given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

import attnc

from . import oracles

FOLDER = Path(__file__).parents[2] / "examples"


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


@cache
def load(name):
    """The attention of an example."""
    example = BY_NAME[name]
    found = attnc.load(FOLDER / f"{example.file or name}.attn")
    return found[name] if example.file else found


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


def differentiate(function, inputs, parameters, dtype=None, wanted=None, seed=1):
    """Results of a call and gradients of the floating inputs, all by name, for results weighted at random. Inputs are
    taken in `dtype` if it is given; what is asked for with `wanted` is all that is differentiated."""
    given = {name: t.detach() if t.is_floating_point() else t for name, t in inputs.items()}
    if dtype is not None:
        given = {name: t.to(dtype) if t.is_floating_point() else t for name, t in given.items()}
    floats = [name for name, t in given.items() if t.is_floating_point() and (wanted is None or name in wanted)]
    for name in floats:
        given[name].requires_grad_()
    results = function(*given.values(), **parameters)
    results = results if isinstance(results, tuple) else (results,)
    random = torch.Generator().manual_seed(seed)
    narrow = inputs["q"].dtype
    weights = [torch.randn(r.shape, generator=random).to(narrow).to(r.dtype) for r in results]
    gradients = torch.autograd.grad(results, [given[name] for name in floats], weights)
    found = {f"result {n}": result.detach() for n, result in enumerate(results)}
    return found | {f"gradient of {name}": gradient for name, gradient in zip(floats, gradients)}


def call(name, inputs, parameters, **options):
    """The compiled attention through `differentiate`; memory that it does not fill holds NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        return differentiate(load(name), inputs, parameters, **options)
    finally:
        torch.use_deterministic_algorithms(before)
