"""Kernels run by Triton's interpreter on the CPU: slow, for tests and for looking into a kernel.

TRITON_INTERPRET=1 must stand in the environment before Triton is first imported.
"""

from __future__ import annotations

from typing import Any

import torch

from attnc.codegen.triton.program import Launch

from .choices import Choice
from .kernels import TritonKernel
from .modules import import_module
from .prepared import Runner


class Interpreter:
    """Runs every kernel with the same small blocks."""

    def __init__(self, rows: int = 16, columns: int = 16, splits_widths: bool = True) -> None:
        self.device = torch.device("cpu")
        self.splits_widths = splits_widths
        self.units = 1
        self.choice = Choice(rows, columns, 4, 1, "ieee")

    def choose(self, kernel: TritonKernel, launch: Launch, is_even: bool) -> Choice:
        return self.choice

    def bind(
        self,
        kernel: TritonKernel,
        launch: Launch,
        choice: Choice,
        values: list[Any],
        is_aligned: bool,
        is_even: bool,
    ) -> Runner:
        function = getattr(import_module(kernel.module), launch.kernel)
        constants = {a.name: choice.constants()[a.of] for a in launch.arguments if a.kind == "constant"}
        count = sum(argument.kind == "tensor" for argument in launch.arguments)
        rest = [
            value for value, argument in zip(values[count:], launch.arguments[count:]) if argument.kind != "constant"
        ]

        def run(grid: int, tensors: list[torch.Tensor]) -> None:
            function[(grid,)](*tensors, *rest, **constants)

        return run
