"""A kernel's first call on a device: one that computes wrongly is refused, a right one is not checked again."""

import os
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

import attnc
from attnc.runtime import entry, verify
from attnc.runtime.signature import bind_sizes
from attnc.runtime.triton import devices, first_use

from ..diagnostics.wrong_calls import OnGpu
from .launching import recording
from .workers import run

CAUSAL = "attention causal\nmask j <= i\n"
DOCUMENTS = "attention documents\ninput doc[B, N]: int\nmask doc[i] == doc[j]\n"
CHUNKS = "attention chunks(size: int = 64)\nrequire M == N, N % size == 0\nmask i // size == j // size\n"
ORDERED = "attention ordered\ninput parent[B, N]: int\nrequire all[x](parent[x] > x)\nmask j <= parent[i]\naxis x: N\n"


def codes_and_texts(environment, count):
    """What calls of a kernel say on a device whose kernels do nothing, so that results are what memory held."""
    _, machine = recording()
    attention = attnc.loads(CAUSAL)
    tensors = [torch.ones(1, 2, 40, 64, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    said = []
    with mock.patch.dict(os.environ, environment):
        for _ in range(count):
            try:
                first_use.check_first_use(attention, attention.card(), machine, tensors, {})
                said.append(None)
            except attnc.AttnError as error:
                said.append((error.code, str(error), machine.version, str(machine.device)))
    return said


@pytest.mark.xdist_group("compiler")
def test_wrong_kernels_are_refused():
    """At each call, with the versions named."""
    said = run("compiler", codes_and_texts, {"ATTNC_FIRST_USE": ""}, 2)
    for code, text, version, device in said:
        assert code == "wrong-on-device"
        assert f"the kernels of 'causal' compute wrongly on '{device}'" in text
        assert f"with Triton {version} and torch {torch.__version__}" in text


@pytest.mark.xdist_group("compiler")
def test_switched_off():
    assert run("compiler", codes_and_texts, {"ATTNC_FIRST_USE": "off"}, 1) == [None]
