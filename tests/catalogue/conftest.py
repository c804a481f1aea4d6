"""One thread for torch, as for the examples."""

from ..examples.conftest import one_thread as one_thread
