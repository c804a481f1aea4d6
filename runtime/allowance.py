"""Whether calls may be computed densely where no kernel can be built. Off unless the user says so."""

from __future__ import annotations

_allowed = False


def allow_reference(allowed: bool = True) -> None:
    """Lets calls run their dense meaning where there is no C++ compiler.

    It takes memory for every pair of query and key, several times over (about 4 · B · H · M · N values forward and
    again as much for gradients), and is far slower. Nothing else ever falls back to it.
    """
    global _allowed
    _allowed = allowed


def reference_is_allowed() -> bool:
    return _allowed
