"""attnc: a compiler for attention.

Write what an attention is (score, mask, normalization, aggregation) in a `.attn` file or a decorated function; get
fast, differentiable, verified kernels.

    sliding = attnc.load("sliding.attn")
    out = sliding(q, k, v, slope, window=512)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .diagnostics import AttnError

if TYPE_CHECKING:
    from attnc.runtime.allowance import allow_reference as allow_reference
    from attnc.runtime.verify import verify as verify

    from .loading import attention as attention
    from .loading import define as define
    from .loading import load as load
    from .loading import loads as loads
    from .spec import Attention as Attention

__version__ = "0.1.0"

_HOMES = {
    "load": "attnc.loading",
    "loads": "attnc.loading",
    "attention": "attnc.loading",
    "define": "attnc.loading",
    "Attention": "attnc.spec",
    "allow_reference": "attnc.runtime.allowance",
    "verify": "attnc.runtime.verify",
}

__all__ = ["Attention", "AttnError", "allow_reference", "attention", "define", "load", "loads", "verify"]


def __getattr__(name: str) -> Any:
    """Parts are imported when they are first named, so that checking a spec needs no torch."""
    import importlib

    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name == "testing":
        return importlib.import_module("attnc.testing")
    raise AttributeError(f"module 'attnc' has no attribute '{name}'")
