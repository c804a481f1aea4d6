"""Property tests of a spec's kernels, for a user's own test suite.

    def test_sliding():
        attnc.testing.assert_matches_reference(attnc.load("sliding.attn"))

`calls(spec)` is a hypothesis strategy for the arguments of any spec: lengths from 0 and 1 to past a tile, M != N,
grouped heads, every dtype, strided and expanded tensors, rows without keys, large values, parameters within what the
spec requires.
"""

from .property import assert_matches_reference
from .strategies import Call, calls

__all__ = ["Call", "assert_matches_reference", "calls"]
