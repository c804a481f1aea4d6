"""Generated Triton kernels at run time: chosen, compiled, launched, and built ahead of time."""
