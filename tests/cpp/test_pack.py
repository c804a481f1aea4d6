"""Packing: any strides, conversions, zeros as filling, nothing beyond the tile written."""

import ctypes

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {
    "f_float": (torch.float32, torch.float32),
    "f_bf16": (torch.float32, torch.bfloat16),
    "d_double": (torch.float64, torch.float64),
    "d_f16": (torch.float64, torch.float16),
}
sizes = st.integers(0, 40) | st.sampled_from([63, 64, 65, 130])


def source(rows: int, cols: int, layout: str, padding: int, kind: torch.dtype) -> torch.Tensor:
    if layout == "rows":
        return torch.randn(max(rows, 1), max(cols, 1) + padding).to(kind)[:rows, :cols]
    if layout == "columns":
        return torch.randn(max(cols, 1), max(rows, 1) + padding).to(kind).T[:rows, :cols]
    if layout == "strided":
        return torch.randn(2 * max(rows, 1), 3 * max(cols, 1)).to(kind)[::2, ::3][:rows, :cols]
    if layout == "same row":
        return torch.randn(1, max(cols, 1)).to(kind)[:, :cols].expand(rows, cols)
    return torch.randn(max(rows, 1), 1).to(kind)[:rows].expand(rows, cols)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("form", ["pack_transposed", "pack_rows"])
def test_packing(drivers, target, name, form):
    function = getattr(drivers.load("tiles", target), f"{form}_{name}")
    computed, stored = KINDS[name]
    layouts = st.sampled_from(["rows", "columns", "strided", "same row", "same column"])

    @settings(max_examples=80, deadline=None, database=None)
    @given(sizes, sizes, layouts, st.integers(0, 3), st.integers(0, 20), st.integers(0, 99))
    def check(rows, cols, layout, padding, filling, seed):
        torch.manual_seed(seed)
        tensor = source(rows, cols, layout, padding, stored)
        tile = tensor.T if form == "pack_transposed" else tensor
        lines, ld = tile.shape[0], tile.shape[1] + filling
        got = torch.full((lines * ld + 40,), 7.0, dtype=computed)
        addresses = [ctypes.c_void_p(x.data_ptr()) for x in (got, tensor)]
        numbers = [ctypes.c_int64(x) for x in (ld, *tensor.stride(), rows, cols)]
        function(addresses[0], numbers[0], addresses[1], *numbers[1:])
        want = torch.zeros(lines, ld, dtype=computed)
        want[:, : tile.shape[1]] = tile.to(computed)
        assert torch.equal(got[: lines * ld].view(lines, ld), want)
        assert (got[lines * ld :] == 7).all()

    check()
