"""Monte Carlo arithmetic (Parker, "Monte Carlo Arithmetic", 1997): a formula with the rounding of every operation.

Run in float64, it tells how far rounding carries each number of a formula in a narrower dtype: also where eager code is
exact by luck, or where terms cancel to 0 that another order of the same sums leaves as noise.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_ROUNDED = {
    *("add", "sub", "mul", "div", "pow", "exp", "tanh", "tanh_backward", "sigmoid", "sigmoid_backward"),
    *("linalg_vector_norm", "logsumexp", "_softmax", "mm", "bmm", "sum", "index_put", "_softmax_backward_data"),
}


def _square(x):
    return x**2 if isinstance(x, torch.Tensor) and x.is_floating_point() else x


def _size_of_terms(name, function, args, kwargs):
    """The root of the sum of the squares of what an operation adds up, for every number of its result."""
    if name in ("mm", "bmm", "sum", "index_put"):
        return function(*map(_square, args), **kwargs).sqrt()
    if name == "_softmax_backward_data":
        gradient, weights, dim = args[:3]
        terms = _square(gradient * weights)
        return (terms + _square(weights) * terms.sum(dim, keepdim=True)).sqrt()
    return None


class Noise(TorchDispatchMode):
    """Inside, every result moves by at most half a unit of `dtype`'s rounding, and every sum by that of the size of its
    terms; narrow dtypes sum in float32. What moves, selects or compares is exact."""

    def __init__(self, dtype, seed):
        super().__init__()
        self.unit = torch.finfo(dtype).eps
        self.unit_of_sums = min(self.unit, torch.finfo(torch.float32).eps)
        self.random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        found = function(*args, **kwargs)
        name = function.overloadpacket.__name__
        if name not in _ROUNDED or not found.is_floating_point():
            return found
        size = self.unit * found.abs()
        terms = _size_of_terms(name, function, args, kwargs)
        if terms is not None:
            size = torch.maximum(size, self.unit_of_sums * terms)
        shift = size * (torch.rand(found.shape, generator=self.random, dtype=found.dtype) - 0.5)
        return found + torch.where(found.isfinite(), shift, 0)
