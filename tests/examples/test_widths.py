"""Feature widths: compiled in, so each is a kernel of its own. Narrower than a vector, odd, and wide."""

import pytest
import torch

from .cases import BY_NAME
from .kernels import check_example

SIZES = {"B": 1, "H": 4, "G": 2, "M": 37, "N": 53}
_EQUAL = [*(("causal", width) for width in (1, 3, 64, 80, 128, 256)), ("rotary", 64)]
_DIFFERENT = [("cross", 3, 17), ("partial", 40, 1), ("alibi", 96, 33)]


@pytest.mark.parametrize("name, width", _EQUAL)
def test_width(name, width):
    check_example(BY_NAME[name], {**SIZES, "D": width, "E": width})


@pytest.mark.parametrize("name, scores, values", _DIFFERENT)
def test_scores_and_values_of_different_widths(name, scores, values):
    check_example(BY_NAME[name], {**SIZES, "D": scores, "E": values})


@pytest.mark.parametrize("width, dtype", [(3, torch.float64), (80, torch.bfloat16), (5, torch.float16)])
def test_width_in_other_dtypes(width, dtype):
    check_example(BY_NAME["causal"], {**SIZES, "D": width, "E": width}, dtype)
