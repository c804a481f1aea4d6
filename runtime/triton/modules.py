"""Generated modules as files in the cache, imported once."""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType

from ..cache import digest, load, path_of, store


def store_module(text: str) -> str:
    """Writes a module's text; returns the name to import it by."""
    name = f"kernels_{digest(text)}.py"
    if load(name) is None:
        store(name, text.encode())
    return name


@cache
def import_module(name: str) -> ModuleType:
    """A module that was stored. Triton reads a kernel's source from its file."""
    spec = importlib.util.spec_from_file_location(f"attnc_{name.removesuffix('.py')}", path_of(name))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
