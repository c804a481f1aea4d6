"""The corpus that every stage is run over: tests/specs and the examples, by name; and tensors for their calls."""

from functools import cache
from pathlib import Path

import torch

import attnc
from attnc.ir.host import evaluate
from attnc.spec import Attention

_HERE = Path(__file__).parent
_FILES = [*sorted((_HERE / "specs").glob("*.attn")), *sorted((_HERE.parent / "examples").glob("*.attn"))]
SIZES = {
    "B": 2,
    "H": 4,
    "G": 2,
    "M": 37,
    "N": 53,
    "D": 16,
    "E": 10,
    "R": 8,
    "A": 7,
    "P": 19,
    "C": 5,
    "T": 41,
    "buckets": 16,
    "O": 6,
}


@cache
def attentions() -> dict[str, Attention]:
    """Every attention of the corpus, named by its file and itself."""
    found = {}
    for path in _FILES:
        loaded = attnc.load(path)
        each = {loaded.name: loaded} if isinstance(loaded, Attention) else dict(loaded)
        folder = path.parent.name
        found.update({f"{folder}/{name}": attention for name, attention in each.items()})
    return found


NAMES = list(attentions())


def draw(attention, sizes=None, dtype=torch.float32, seed=0, learns=True):
    """Tensors for a call, in the order of the card; integers small enough to be positions, documents or lengths."""
    random = torch.Generator().manual_seed(seed)
    card = attention.card()
    known = SIZES | {p.name: p.default for p in card.parameters if p.default is not None} | (sizes or {})
    tensors = []
    for item in card.inputs:
        shape = [int(evaluate(size, known)) for size in item.sizes]
        if item.type == "float":
            tensors.append(torch.randn(shape, generator=random).to(dtype).requires_grad_(learns))
        elif item.type == "int":
            tensors.append(torch.randint(0, 5, shape, generator=random))
        else:
            tensors.append(torch.rand(shape, generator=random) > 0.4)
    return tensors
