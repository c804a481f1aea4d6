"""What all tests have in common."""

import pytest

from attnc.codegen.cpp.names import USUAL_CACHE
from attnc.runtime import caches


@pytest.fixture(scope="session", autouse=True)
def usual_caches():
    """Sources and explanations are compared with recorded ones, whatever machine tests run on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caches, "near_bytes", lambda: USUAL_CACHE)
        yield
