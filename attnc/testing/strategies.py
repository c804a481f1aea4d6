"""Hypothesis strategies for the arguments of a spec's call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from hypothesis import assume
from hypothesis import strategies as st

from attnc.card import Card, InputCard, ParameterCard
from attnc.diagnostics.diagnostic import AttnError
from attnc.ir.host import evaluate, names_in
from attnc.runtime.signature import bind_sizes

if TYPE_CHECKING:
    from attnc.spec import Attention

_LENGTHS = st.one_of(
    st.integers(1, 24), st.sampled_from([0, 1, 2, 17]), st.sampled_from([95, 97, 130]), st.sampled_from([256, 257, 300])
)
_LAYOUTS = ("contiguous", "contiguous", "transposed", "sliced", "expanded", "reversed axes")
_MOST_PAIRS = 10_000
_SCALES = (1.0, 1.0, 1e-3, 8.0)


@dataclass(frozen=True)
class Variant:
    """What decides which kernel is built: few of these are tried, so that few kernels are."""

    dtype: torch.dtype
    widths: tuple[int, ...]
    learns: str


VARIANTS = (
    Variant(torch.float32, (16, 8), "everything"),
    Variant(torch.float64, (5, 3), "everything"),
    Variant(torch.bfloat16, (8, 16), "everything"),
    Variant(torch.float16, (8, 16), "everything"),
    Variant(torch.float32, (16, 8), "first"),
)


@dataclass(frozen=True)
class Call:
    """Arguments of a call: tensors by input name, parameters, and in words what they are."""

    tensors: Mapping[str, torch.Tensor]
    parameters: Mapping[str, Any]
    words: str

    def __repr__(self) -> str:
        return self.words

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.words)


@st.composite
def calls(draw: st.DrawFn, spec: Attention, variants: tuple[Variant, ...] = VARIANTS) -> Call:
    """Arguments for a spec, as its declarations allow; shrinks to short lengths, contiguous tensors and scale 1."""
    card = spec.card()
    variant = draw(st.sampled_from(variants))
    parameters = {p.name: draw(_parameter(p)) for p in card.parameters}
    card = spec.card(tuple((p.name, parameters[p.name]) for p in card.statics))
    sizes = draw(_sizes(card, variant, parameters))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    scale = draw(st.sampled_from(_SCALES))
    tensors = {}
    words = [f"{name}={value}" for name, value in {**sizes, **parameters}.items()]
    for item in card.inputs:
        shape = [int(evaluate(size, {**parameters, **sizes})) for size in item.sizes]
        assume(all(n >= 0 for n in shape) and _count(shape) <= 1 << 22)
        layout = draw(st.sampled_from(_LAYOUTS))
        tensors[item.name] = _tensor(item, shape, layout, variant, scale, generator, sizes)
        if layout != "contiguous":
            words.append(f"{item.name} {layout}")
    _learn(card, tensors, variant)
    _check(card, tensors, parameters)
    words += [str(variant.dtype).removeprefix("torch."), f"scale {scale:g}", f"learning {variant.learns}"]
    return Call(tensors, parameters, f"{card.name}({', '.join(words)})")


def _count(shape: list[int]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def _check(card: Card, tensors: Mapping[str, torch.Tensor], parameters: Mapping[str, Any]) -> None:
    """Calls that break a requirement which could not be met by construction are not tried."""
    try:
        bind_sizes(card, [tensors[item.name].shape for item in card.inputs], dict(parameters))
    except AttnError:
        assume(False)


# --- numbers -------------------------------------------------------------------------------------------------------


def _parameter(parameter: ParameterCard) -> st.SearchStrategy[Any]:
    """A parameter's default and values around it."""
    default = parameter.default
    if parameter.type == "mode":
        return st.sampled_from(parameter.modes)
    if parameter.type == "bool":
        return st.booleans()
    if parameter.type == "int":
        near = default if isinstance(default, int) else 4
        return st.sampled_from(sorted({near, max(1, near // 8), min(near, 5), near + 1}))
    near_float = float(default) if default is not None else 1.0
    return st.sampled_from([near_float, near_float / 2, near_float * 1.5])


@st.composite
def _sizes(draw: st.DrawFn, card: Card, variant: Variant, parameters: Mapping[str, Any]) -> dict[str, int]:
    """Every size that the inputs tell, within the spec's requirements where these can be solved."""
    names = sorted({n for item in card.inputs for size in item.sizes for n in names_in(size)} - parameters.keys())
    sizes: dict[str, int] = {}
    groups = draw(st.integers(1, 2))
    widths = [name for name in card.widths if not name.startswith("parameter ")]
    for name in names:
        if name in ("B", "G"):
            sizes[name] = draw(st.integers(1, 2)) if name == "B" else groups
        elif name == "H":
            sizes[name] = groups * draw(st.integers(1, 3)) if "G" in names else draw(st.integers(1, 3))
        elif name in widths:
            sizes[name] = variant.widths[widths.index(name) % len(variant.widths)]
        else:
            sizes[name] = draw(_LENGTHS)
    _keep_small(sizes, card)
    for _ in range(3):
        for requirement in card.requirements:
            _meet(requirement.condition, sizes, parameters)
    return sizes


def _keep_small(sizes: dict[str, int], card: Card) -> None:
    """Long lengths go with few heads: the dense meaning holds a value for every pair."""
    pairs = 1
    for name in card.lengths:
        pairs *= max(sizes.get(name, 1), 1)
    pairs = pairs if len(card.lengths) > 1 else pairs * pairs
    for name in ("B", "H", "G"):
        if pairs > _MOST_PAIRS and name in sizes:
            sizes[name] = 1


def _meet(condition: Any, sizes: dict[str, int], parameters: Mapping[str, Any]) -> None:
    """Changes a size so that `a == b` or `a % b == 0` holds, if it does not."""
    if not isinstance(condition, list):
        return
    if condition[0] == "and":
        for part in condition[1:]:
            _meet(part, sizes, parameters)
        return
    known = {**parameters, **sizes}
    if condition[0] != "equal_zero" or evaluate(condition, known):
        return
    form = condition[1]
    if isinstance(form, list) and form[0] == "int_mod" and isinstance(form[1], str) and form[1] in sizes:
        step = max(int(evaluate(form[2], known)), 1)
        sizes[form[1]] = -(-sizes[form[1]] // step) * step
    elif isinstance(form, list) and form[0] == "add":
        for coefficient, term in form[2]:
            if isinstance(term, str) and term in sizes and abs(coefficient) == 1:
                sizes[term] = max(0, sizes[term] - coefficient * int(evaluate(form, known)))
                return


# --- tensors -------------------------------------------------------------------------------------------------------


def _tensor(
    item: InputCard,
    shape: list[int],
    layout: str,
    variant: Variant,
    scale: float,
    generator: torch.Generator,
    sizes: Mapping[str, int],
) -> torch.Tensor:
    """Values of an input's kind, lying in memory as asked."""

    def values(wanted: list[int]) -> torch.Tensor:
        if item.type == "float":
            made = torch.randn(wanted, generator=generator, dtype=torch.float64)
            return (made * (scale if item.name in ("q", "k") else 1.0)).to(variant.dtype)
        if item.type == "int":
            most = max([n for name, n in sizes.items() if name in ("M", "N")] or [4])
            return torch.randint(-1, max(most, 2) // 2 + 2, wanted, generator=generator)
        return torch.rand(wanted, generator=generator) > 0.4

    if not shape or layout == "contiguous":
        return values(shape)
    if layout == "transposed" and len(shape) > 1:
        return values([*shape[:-2], shape[-1], shape[-2]]).transpose(-1, -2)
    if layout == "sliced":
        return values([*shape[:-1], 2 * shape[-1] + 1])[..., 1 : 1 + shape[-1]]
    if layout == "expanded" and shape[0] > 0:
        return values([1, *shape[1:]]).expand(shape)
    if layout == "reversed axes":
        return values(shape[::-1]).permute(list(range(len(shape)))[::-1])
    return values(shape)


def _learn(card: Card, tensors: dict[str, torch.Tensor], variant: Variant) -> None:
    """Marks what a gradient is wanted of."""
    floats = [item.name for item in card.inputs if item.type == "float"]
    chosen = floats if variant.learns == "everything" else floats[:1]
    for name in chosen:
        tensors[name].requires_grad_()
