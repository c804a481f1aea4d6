"""The Triton spelling of the statement tree: one module of kernels, and what to launch them with."""
