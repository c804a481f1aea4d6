"""Mixing of tokens by learned weights between places of blocks and cells of grids, written densely."""

import torch
import torch.nn.functional as F

from ..rows import row, small

SIZES = {"F": 5, "E": 3}
PARAMETERS = {"rows": 6, "cols": 9, "side": 3, "cells": 3}
LARGE = {"rows": 32, "cols": 64, "side": 8, "cells": 8, "F": 32, "E": 32}
DRAWS = {"near": small, "far": small}


def branch(x, w):
    return F.gelu(F.layer_norm(x, x.shape[-1:], eps=0.0) @ w.T)


def by_block(x, rows, cols, side):
    """[B, N, E] -> [B, blocks, places, E]"""
    x = x.unflatten(1, (rows // side, side, cols // side, side)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)


def from_block(x, rows, cols, side):
    x = x.unflatten(2, (side, side)).unflatten(1, (rows // side, cols // side))
    return x.transpose(2, 3).flatten(1, 4)


def local(x, near, at_place, rows, cols, side):
    x = near @ by_block(x, rows, cols, side) + at_place[:, None]
    return from_block(x, rows, cols, side)


def spread(x, far, at_cell, rows, cols, cells):
    """Tokens with the same remainders, one of each cell."""
    x = x.unflatten(1, (cells, rows // cells, cells, cols // cells))
    x = torch.einsum("rsij,biyjxe->brysxe", far.reshape(cells, cells, cells, cells), x)
    return (x + at_cell.reshape(cells, 1, cells, 1, 1)).flatten(1, 4)


@row("maxim_multi_axis_gmlp_cross_gating", "multi_axis", sizes=SIZES, parameters=PARAMETERS, draws=DRAWS, large=LARGE)
def multi_axis(x, wu, wv, near, far, at_place, at_cell, rows, cols, side, cells):
    u, v = ([branch(x[:, :, n], w[n]) for n in range(2)] for w in (wu, wv))
    one = local(v[0], near, at_place, rows, cols, side)
    other = spread(v[1], far, at_cell, rows, cols, cells)
    return torch.cat((u[0] * one, u[1] * other), -1)


@row("maxim_multi_axis_gmlp_cross_gating", "cross_gating", sizes=SIZES, parameters=PARAMETERS, draws=DRAWS, large=LARGE)
def cross_gating(x, y, w, near, far, at_place, at_cell, rows, cols, side, cells):
    one = local(branch(y[:, :, 0], w[0]), near, at_place, rows, cols, side)
    other = spread(branch(y[:, :, 1], w[1]), far, at_cell, rows, cols, cells)
    return x.flatten(2) * torch.cat((one, other), -1)
