"""`python -m tests.examples.pictures`: a picture of each mask of examples/masks, from the first of its cases."""

import matplotlib
import torch

import attnc
from attnc.runtime.masks import draw_masks

from .test_masks import CASES, MASKS, B, D, H

FOLDER = MASKS / "pictures"
MOST_HEADS = 4


def drawings(name, number=0):
    """What `attnc mask` would draw for a case."""
    made = CASES[name][number]
    tensors = [torch.zeros(B, H, n, D) for n in (made.queries, made.keys, made.keys)]
    given = {**made.inputs, **made.parameters}
    return draw_masks(attnc.load(MASKS / f"{name}.attn"), tensors, given, B - 1, None)


def main():
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    FOLDER.mkdir(exist_ok=True)
    for name in sorted(CASES):
        found = drawings(name)[:MOST_HEADS]
        figure, panels = plt.subplots(1, len(found), figsize=(2.4 * len(found), 2.4), squeeze=False)
        for one, axes in zip(found, panels[0], strict=True):
            axes.imshow(one.pairs.numpy(), vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
        figure.tight_layout(pad=0.2)
        figure.savefig(FOLDER / f"{name}.png", dpi=60, metadata={"Software": None})
        plt.close(figure)


if __name__ == "__main__":
    main()
