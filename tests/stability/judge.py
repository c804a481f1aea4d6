"""Whether results and gradients of kernels are as good as the dense formula done eagerly in the same dtype.

Both are measured against the formula in float64. Over a few draws, the mean of the largest errors and that of the mean
errors may be twice those of eager code, or all are within 4 units of rounding of the largest result. Where eager code
is exact by luck, or overflows, its place is taken by the formula in float64 with the rounding of every operation
(`Noise`): a bound that is made of roundings alone. What is not finite must be the same in kernels and in float64.
"""

import torch

from ..examples.judge import error, is_near_rounding
from ..examples.noise import Noise

RUNS = (1, 2, 5)  # of Noise, the last where nothing less excuses an error


def wide(tensor):
    """What eager code in low precision computes in: kernels sum halves in float32."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def tuple_of(results):
    return results if isinstance(results, tuple) else (results,)


def eagerly(formula):
    """A formula on tensors of low precision: computed in float32, the first result rounded to the dtype of `v`."""

    def call(**tensors):
        first, *others = tuple_of(formula(**{name: wide(tensor) for name, tensor in tensors.items()}))
        return first.to(tensors["v"].dtype), *others

    return call


def weights_for(results, dtype, seed):
    """Random weights of results, exact in every dtype; 0 where a result is not finite."""
    random = torch.Generator().manual_seed(seed)
    for result in results:
        weight = torch.randn(result.shape, generator=random).to(dtype).to(result.dtype)
        yield torch.where(result.detach().isfinite(), weight, torch.zeros_like(weight))


def differentiate(function, inputs, dtype=None, seed=1):
    """Results of a call and gradients of its floating inputs, by name, for results weighted at random."""
    given = {name: t.detach() for name, t in inputs.items()}
    if dtype is not None:
        given = {name: t.to(dtype) if t.is_floating_point() else t for name, t in given.items()}
    learned = [name for name, t in given.items() if t.is_floating_point()]
    for name in learned:
        given[name] = given[name].clone().requires_grad_()
    results = tuple_of(function(**given))
    weights = list(weights_for(results, inputs["v"].dtype, seed))
    gradients = torch.autograd.grad(results, [given[name] for name in learned], weights)
    found = {f"result {n}": result.detach() for n, result in enumerate(results)}
    return found | {f"gradient of {name}": gradient for name, gradient in zip(learned, gradients)}


class Trial:
    """What a call found and ought to find for one draw of its inputs."""

    def __init__(self, call, formula, inputs, seed=1):
        self.formula, self.inputs, self.seed = formula, inputs, seed
        self.dtype = inputs["v"].dtype
        self.measured = torch.float32 if self.dtype == torch.float16 else self.dtype
        self.found = differentiate(call, inputs, seed=seed)
        self.truth = differentiate(formula, inputs, torch.float64, seed)
        self.eager = differentiate(eagerly(formula), inputs, seed=seed)
        self._noisy = []

    def own(self, name):
        return error(self.found[name], self.truth[name])

    def is_near(self, name):
        return is_near_rounding(self.own(name), self.truth[name], self.found[name].dtype)

    def eager_error(self, name):
        """That of eager code; nothing is allowed for where it overflows and float64 does not."""
        found = error(self.eager[name], self.truth[name])
        return torch.where(found.isfinite(), found, torch.zeros_like(found))

    def noise(self, name, count):
        """The largest errors that roundings made in the first `count` runs; halves are rounded again at last."""
        for seed in range(len(self._noisy), count):
            with Noise(self.measured, seed):
                found = differentiate(self.formula, self.inputs, torch.float64, self.seed)
            self._noisy.append({n: x.to(self.found[n].dtype) for n, x in found.items()})
        return torch.stack([error(one[name], self.truth[name]) for one in self._noisy[:count]]).amax(0)


def fault_of(name, trials):
    """How one result or gradient is worse than allowed, if it is."""
    if all(trial.is_near(name) for trial in trials):
        return None
    own = torch.stack([trial.own(name) for trial in trials]).mean(0)
    eager = torch.stack([trial.eager_error(name) for trial in trials])
    allowed = [2 * eager.mean(0)]
    if bool((own <= allowed[0]).all()):
        return None
    for count in RUNS:
        noise = torch.stack([torch.maximum(e, trial.noise(name, count)) for e, trial in zip(eager, trials)])
        allowed.append(2 * noise.mean(0))
        if bool((own <= allowed[-1]).all()):
            return None
    limits = " or ".join(str(a.tolist()) for a in (allowed[0], allowed[-1]))
    return f"{name}: errors (largest, mean) {own.tolist()}, of {limits}"


def check(trials, part=""):
    """Asserts that results and gradients whose names begin so, or with one of these, are as good as the formula's."""
    names = [n for n in trials[0].truth if n.startswith(part)]
    faults = [fault for name in names if (fault := fault_of(name, trials))]
    assert names and not faults, "\n".join(faults)
