"""Every pointwise primitive has a spelling in Triton: an operation of its language, or a function that kernels copy."""

import pytest

from attnc.codegen.triton import arithmetic, operations
from attnc.codegen.triton.program import _function_sources
from attnc.ir.primitives import PRIMITIVES

# spelt by rules of their own: structure, sums and products, conditions, conversions, powers of 2
BY_RULE = {"add", "mul", "where", "exp", "to_float", "floor", "ceil", "round"}
BY_RULE |= {"implicit"}  # gone once derivatives are taken
BY_RULE |= {"less", "at_most", "equal", "at_most_zero", "equal_zero", "not", "and", "or"}


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_it_is_spelt(name):
    known = {*arithmetic._FLOAT_CALLS, *operations._INTEGER_CALLS, *_function_sources(), *BY_RULE}
    assert name in known
