"""Copies and pickles of attentions, of what holds them, and of their results."""

import copy
import io
import multiprocessing
import pickle

import pytest
import torch

import attnc

from .probes import PROBE, expected, is_near, probe, several, tensors


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.project = torch.nn.Linear(8, 8)
        self.slope = torch.nn.Parameter(torch.rand(2))
        self.attention = probe()

    def forward(self, x):
        x = self.project(x)
        return self.attention(x, x, x, self.slope)


def again(value):
    return pickle.loads(pickle.dumps(value))


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": again}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("was_called", [False, True])
def test_an_attention(way, was_called):
    attention = probe()
    if was_called:
        attention(*tensors())
    found = COPIES[way](attention)
    assert is_near(found(*tensors()), expected(*tensors()))
    assert (found.name, found.text, found.card()) == (attention.name, attention.text, attention.card())


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_model(way):
    model = Layer()
    x = tensors()[0]
    wanted = model(x)
    found = COPIES[way](model)
    assert torch.equal(found(x), wanted)
    found(x).sum().backward()
    assert model.slope.grad is None and found.slope.grad is not None


def test_a_saved_model(tmp_path):
    model = Layer()
    x = tensors()[0]
    wanted = model(x)
    torch.save(model, tmp_path / "model.pt")
    assert torch.equal(torch.load(tmp_path / "model.pt", weights_only=False)(x), wanted)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = Layer()
    other.load_state_dict(torch.load(buffer))
    assert torch.equal(other(x), wanted)
    assert set(model.state_dict()) == {"project.weight", "project.bias", "slope"}


def test_one_of_several_with_its_definitions(tmp_path):
    path = tmp_path / "two.attn"
    path.write_text(
        "define twice(x) = 2 * x\n\nattention first\nscore s = twice(q[i] @ k[j])\n\nattention second\nmask j <= i\n"
    )
    found = again(attnc.load(path)["first"])
    q, k, v = (torch.randn(1, 1, 5, 4) for _ in range(3))
    assert is_near(found(q, k, v), (2 * q @ k.mT).softmax(-1) @ v)


def test_a_decorated_function():
    @attnc.attention
    def causal():
        mask = j <= i  # noqa: F821, F841

    found = again(causal)
    q, k, v = (torch.randn(1, 1, 5, 4) for _ in range(3))
    assert torch.equal(found(q, k, v), causal(q, k, v))


def test_results():
    results = several()(*tensors()[:3])
    for way in (again, copy.copy, copy.deepcopy):
        found = way(results)
        assert found._fields == results._fields and all(map(torch.equal, found, results))


def test_another_process():
    """Started anew, with the attention as what it is to call."""
    given = tensors()
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        found = workers.apply(probe(), [tensor.clone() for tensor in given], {"window": 2})
    assert is_near(found, expected(*given, window=2))


def test_equal_texts_give_equal_kernels():
    assert probe().text == attnc.loads(PROBE).text == again(probe()).text
