"""What the compiler's process does without a GPU: calls through a driver that records launches, compilation counts."""

from dataclasses import dataclass, field

import torch


@dataclass
class Recorder:
    """A driver of a device that is not there: it loads nothing and writes launches down."""

    capability: int = 90
    launches: list = field(default_factory=list)
    loaded: list = field(default_factory=list)

    def __post_init__(self):
        self.utils = self

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 7

    def get_active_torch_device(self):
        return torch.device("cpu")

    def get_device_properties(self, device):
        return {"max_shared_mem": 232448}

    def load_binary(self, name, binary, shared, device):
        self.loaded.append(name)
        return 1, len(self.loaded), 32, 0, 1024

    def launcher_cls(self, source, metadata):
        signature = dict(source.signature)

        def launch(x, y, z, stream, function, packed, metadata_, enter, leave, *arguments):
            self.launches.append((metadata.name, (x, y, z), stream, signature, arguments))

        return launch


def recording(capability=90):
    """Calls on CPU tensors go to a GPU of this capability that only records."""
    import triton

    from attnc.runtime import calls
    from attnc.runtime.triton.devices import Gpu

    recorder = Recorder(capability)
    triton.runtime.driver.set_active(recorder)
    machine = Gpu(torch.device("cpu"))
    calls.machine_for = lambda device, attention: machine
    return recorder, machine


def launches_of(text, shapes, backward=False, **parameters):
    """(kernel, grid, signature, arguments without tensors) of every launch of one call."""
    import attnc

    recorder, _ = recording()
    attention = attnc.loads(text)
    tensors = [torch.zeros(shape, dtype=torch.bfloat16, requires_grad=backward) for shape in shapes]
    result = attention(*tensors, **parameters)
    if backward:
        recorder.launches.clear()
        torch.autograd.grad(result, tensors, torch.zeros_like(result))
    return [
        (name, grid, stream, signature, [a for a in arguments if not isinstance(a, torch.Tensor)], len(arguments))
        for name, grid, stream, signature, arguments in recorder.launches
    ]


def compilations(text, calls):
    """How many binaries were loaded after each of these calls: (shapes, parameters)."""
    import attnc

    recorder, _ = recording()
    attention = attnc.loads(text)
    counts = []
    for shapes, parameters in calls:
        tensors = [torch.zeros(shape, dtype=torch.bfloat16, requires_grad=True) for shape in shapes]
        result = attention(*tensors, **parameters)
        torch.autograd.grad(result, tensors, torch.zeros_like(result))
        counts.append(len(recorder.loaded))
    return counts


def variants(text):
    """Binaries loaded for a plain call, one with a misaligned tensor, one whose rows lie far apart."""
    import attnc

    recorder, _ = recording()
    attention = attnc.loads(text)
    plain = [torch.zeros(1, 2, 40, 64, dtype=torch.bfloat16) for _ in range(3)]
    attention(*plain)
    counts = [len(recorder.loaded)]
    shifted = torch.zeros(1 * 2 * 41 * 64 + 1, dtype=torch.bfloat16)[1:].view(1, 2, 41, 64)
    attention(shifted, *(torch.zeros(1, 2, 41, 64, dtype=torch.bfloat16) for _ in range(2)))
    counts.append(len(recorder.loaded))
    far = torch.empty_strided((1, 2, 40, 64), (0, 64, 1 << 23, 1), dtype=torch.bfloat16, device="cpu")
    attention(far, *plain[1:])
    counts.append(len(recorder.loaded))
    return counts


def launches_of_package(parent, name):
    """A built package, loaded by its own loader in this process, called and differentiated."""
    import importlib
    import sys

    import triton

    recorder = Recorder(90)
    triton.runtime.driver.set_active(recorder)
    sys.path.insert(0, str(parent))
    try:
        attention = importlib.import_module(name).load()
    finally:
        sys.path.remove(str(parent))
    tensors = [torch.zeros(2, 4, 300, 64, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    result = attention(*tensors)
    forward = list(recorder.launches)
    torch.autograd.grad(result, tensors, torch.zeros_like(result))
    found = [forward, recorder.launches[len(forward) :]]
    return [[(name, grid, len(arguments)) for name, grid, *_, arguments in half] for half in found], tuple(result.shape)
