"""Spec files that were loaded before: found by their bytes, without parsing them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from attnc.diagnostics import AttnError
from attnc.grammar.tree import File
from attnc.loading import Attentions, read_file, unwrap
from attnc.spec import Attention

from .cache import digest, load_json, store_json
from .kernels import generator_digest


def find_file(path: Path, compile: Callable[[], dict[str, Attention]]) -> Attention | Attentions:
    """The attentions of a file, from the cache if neither it nor a file that it uses has changed."""
    data = read_file(path)
    name = digest("file", data, generator_digest()) + ".json"
    known = load_json(name)
    if known is not None and all(_is_unchanged(path.parent, used, seen) for used, seen in known["uses"]):
        again = partial(_tree_again, path, data, known["uses"], compile)
        return unwrap({item: Attention(item, text, partial(again, item, text)) for item, text in known["attentions"]})
    found = compile()
    store_json(name, {"attentions": [(a.name, a.text) for a in found.values()], "uses": _uses(path)})
    return unwrap(found)


def _tree_again(
    path: Path, data: bytes, uses: list[list[str]], compile: Callable[[], dict[str, Attention]], name: str, text: str
) -> File:
    """The tree of an attention, with the places of its file for messages; of the text on the shelf if that changed."""
    from attnc.grammar.parser import parse

    with contextlib.suppress(AttnError, OSError):
        if path.read_bytes() == data and all(_is_unchanged(path.parent, used, seen) for used, seen in uses):
            return compile()[name].file
    return parse(text, f"<{name}>")


def _is_unchanged(folder: Path, used: str, seen: str) -> bool:
    try:
        return digest((folder / used).read_bytes()) == seen
    except OSError:
        return False


def _uses(path: Path) -> list[tuple[str, str]]:
    from attnc.definitions import used_files
    from attnc.grammar.parser import parse

    file = parse(path.read_bytes(), str(path))
    if not any(type(item).__name__ == "Use" for item in file.items):
        return []
    folder = path.parent
    return [(str(used.relative_to(folder)), digest(used.read_bytes())) for used in used_files(file, folder)]
