"""The definitions that a spec sees: the prelude's, those of used files, its own. Later ones take an earlier name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from attnc.grammar import tree

from .diagnostics import Diagnostic, Label, Source, Span
from .diagnostics.diagnostic import AttnError

_DEEPEST = 20


@cache
def prelude() -> dict[str, tree.Define]:
    """The prelude's definitions by name."""
    from attnc.grammar.parser import parse

    path = Path(__file__).with_name("prelude.attn")
    return {define.name: define for define in parse(path.read_text(encoding="utf-8"), "prelude.attn").defines}


def gather(file: tree.File, folder: Path | None) -> dict[str, tree.Define]:
    """Every definition in scope of a file that lies in `folder` (None: a text with no place, which may use nothing)."""
    found = dict(prelude())
    _add_used(file, folder, found, ())
    _add_own(file, found)
    return found


def _add_own(file: tree.File, found: dict[str, tree.Define]) -> None:
    from .lowering.calls import BUILT_IN

    mine: dict[str, tree.Define] = {}
    for define in file.defines:
        if define.name in BUILT_IN:
            title = f"'{define.name}' is built in and cannot be defined again"
            raise AttnError([Diagnostic("duplicate-name", title, (Label(define.name_span),))])
        if define.name in mine:
            labels = (Label(define.name_span, "again"), Label(mine[define.name].name_span, "defined here"))
            raise AttnError([Diagnostic("duplicate-name", f"'{define.name}' is defined twice", labels)])
        mine[define.name] = define
    found.update(mine)


def _add_used(file: tree.File, folder: Path | None, found: dict[str, tree.Define], chain: tuple[Path, ...]) -> None:
    for item in file.items:
        if isinstance(item, tree.Use):
            path = _resolve(item, folder, chain)
            used = _parse(path, item.span)
            _add_used(used, path.parent, found, (*chain, path))
            _add_own(used, found)


def _resolve(item: tree.Use, folder: Path | None, chain: tuple[Path, ...]) -> Path:
    def refuse(title: str, note: str | None = None) -> AttnError:
        return AttnError([Diagnostic("bad-use", title, (Label(item.span),), note)])

    name = item.path
    if folder is None:
        raise refuse("a text with no file of its own cannot use another", "load the spec from a file")
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        raise refuse(f"'{name}' must be a file beside this one, or below it")
    if not name.endswith(".attn"):
        raise refuse(f"'{name}' is no .attn file")
    path = folder / name
    if path in chain or len(chain) >= _DEEPEST:
        raise refuse(f"'{name}' ends up using itself")
    if not path.is_file():
        raise refuse(f"there is no file '{name}' beside this one")
    return path


def _parse(path: Path, span: Span) -> tree.File:
    from attnc.grammar.parser import parse

    try:
        data = path.read_bytes()
    except OSError as error:
        title = f"'{path.name}' cannot be read: {error.strerror}"
        raise AttnError([Diagnostic("unreadable-file", title, (Label(span),))]) from None
    return parse(data, path.name)


def used_files(file: tree.File, folder: Path | None, chain: tuple[Path, ...] = ()) -> list[Path]:
    """The files that a file uses, directly or not: what a cache must look at."""
    out: list[Path] = []
    for item in file.items:
        if isinstance(item, tree.Use):
            path = _resolve(item, folder, chain)
            out += [path, *used_files(_parse(path, item.span), path.parent, (*chain, path))]
    return out


__all__ = ["Source", "gather", "prelude", "used_files"]
