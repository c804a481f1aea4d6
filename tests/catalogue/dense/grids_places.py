"""Places on grids, for the dense computations of attentions there."""

import torch


def places(*sizes):
    """The coordinates of a grid's tokens, the last running fastest, as one [N] for each axis."""
    return tuple(x.flatten() for x in torch.meshgrid(*(torch.arange(n) for n in sizes), indexing="ij"))
