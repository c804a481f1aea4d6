"""The definitions that a spec sees: the prelude's, those of used files, its own. Later ones take an earlier name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from attnc.grammar import tree

from .diagnostics import AttnError, Findings, Span
from .lowering.mistakes import RedefinedFunction
from .mistakes import BadUse, DefinedTwice, UnreadableFile

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
    for _, used in _used(file, folder):
        _add_own(used, found)
    _add_own(file, found)
    return found


def used_files(file: tree.File, folder: Path | None) -> list[Path]:
    """The files that a file uses, directly or not: what a cache must look at."""
    return [path for path, _ in _used(file, folder)]


def _add_own(file: tree.File, found: dict[str, tree.Define]) -> None:
    from .lowering.calls import BUILT_IN

    mine: dict[str, tree.Define] = {}
    findings = Findings()
    for define in file.defines:
        if define.name in BUILT_IN:
            findings.add(RedefinedFunction(define.name_span, define.name))
        elif define.name in mine:
            findings.add(DefinedTwice(define.name_span, define.name, mine[define.name].name_span))
        mine[define.name] = define
    findings.raise_if_any()
    found.update(mine)


def _used(
    file: tree.File, folder: Path | None, chain: tuple[Path, ...] = (), done: dict[Path, tree.File] | None = None
) -> list[tuple[Path, tree.File]]:
    """Used files in the order in which their definitions are added, each once."""
    done = {} if done is None else done
    out: list[tuple[Path, tree.File]] = []
    for item in file.items:
        if isinstance(item, tree.Use):
            path = _resolve(item, folder, chain)
            if path not in done:
                done[path] = used = _parse(path, _path_span(item))
                out += [*_used(used, path.parent, (*chain, path), done), (path, used)]
    return out


def _path_span(item: tree.Use) -> Span:
    """The path in its quotes."""
    return Span(item.span.source, item.span.end - len(item.path) - 2, item.span.end)


def _resolve(item: tree.Use, folder: Path | None, chain: tuple[Path, ...]) -> Path:
    def refuse(title: str, label: str, remedy: str | None = None) -> AttnError:
        return BadUse(_path_span(item), title, label, remedy).error()

    name = item.path
    if folder is None:
        title = "a text with no file of its own cannot use another"
        raise refuse(title, "beside what?", "load it from a file: 'attnc.load(path)'")
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        title = "only a file beside this one, or below it, can be used"
        raise refuse(title, "elsewhere", f"write 'use \"{_last(name)}\"'")
    if not name.endswith(".attn"):
        remedy = f"write 'use \"{name}.attn\"'" if "." not in name else None
        raise refuse(f"'{name}' is no .attn file", "does not end in '.attn'", remedy)
    path = folder / name
    if path in chain:
        raise refuse(f"'{name}' ends up using itself", "used again here")
    if len(chain) >= _DEEPEST:
        raise refuse(f"more than {_DEEPEST} files use one another", "one too many")
    if not _is_file(path):
        raise refuse(f"there is no file '{name}' beside this one", "not found")
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _last(name: str) -> str:
    last = name.replace("\\", "/").split("/")[-1].split(":")[-1]
    return last if last.endswith(".attn") else "name.attn"


def _parse(path: Path, span: Span) -> tree.File:
    from attnc.grammar.parser import parse

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(path.name, error.strerror or str(error), span).error() from None
    return parse(data, path.name)


__all__ = ["gather", "prelude", "used_files"]
