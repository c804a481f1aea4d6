"""Source -> kernel, and everything that touches tensors: the only home of torch."""
