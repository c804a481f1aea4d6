"""Texts, files and decorated functions -> attentions."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attnc.grammar import tree

from .definitions import gather, prelude
from .diagnostics import AttnError, Diagnostic, Findings
from .lowering import lower
from .lowering.checking import check_definitions
from .mistakes import AttentionTwice, NoAttention, OutsideAttention, UnknownAttention, UnreadableFile
from .spec import Attention


class Attentions(Mapping[str, Attention]):
    """The attentions of a file that holds several, by name."""

    def __init__(self, found: dict[str, Attention]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> Attention:
        if name not in self._found:
            raise UnknownAttention(name, tuple(self._found)).error()
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"<attnc attentions {', '.join(self._found)}>"


def load(path: str | Path) -> Attention | Attentions:
    """The attention in a `.attn` file; of several, a mapping by name.

    Raises AttnError for a file that cannot be read and for every mistake in it. Runs nothing of the spec's author.
    """
    from attnc.runtime.shelf import find_file

    path = Path(path)
    return find_file(path, lambda: _compile_file(path))


def loads(text: str, name: str = "<text>") -> Attention | Attentions:
    """The attention in a text; of several, a mapping by name. `name` is what messages call the text."""
    return unwrap(_compile_text(text, name, None))


def _compile_file(path: Path) -> dict[str, Attention]:
    return _compile_text(read_file(path), str(path), path.parent)


def read_file(path: Path) -> bytes:
    """A file's bytes; AttnError where it cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UnreadableFile(str(path), getattr(error, "strerror", None) or str(error)).error() from None


def unwrap(found: dict[str, Attention]) -> Attention | Attentions:
    return next(iter(found.values())) if len(found) == 1 else Attentions(found)


def _compile_text(text: str | bytes, name: str, folder: Path | None) -> dict[str, Attention]:
    from attnc.grammar.parser import parse

    return make_attentions(parse(text, name), folder)


def make_attentions(file: tree.File, folder: Path | None) -> dict[str, Attention]:
    """Every attention of a file, checked; mistakes of all of them are reported together."""
    definitions = gather(file, folder)
    findings = Findings()
    check_definitions(file.defines, definitions, prelude(), findings)
    known = findings.found[:]
    first: dict[str, tree.Attention] = {}
    for item in file.attentions:
        if item.name in first:
            findings.add(AttentionTwice(item.name_span, item.name, first[item.name].name_span))
        first.setdefault(item.name, item)
        try:
            lower(item, definitions)
        except AttnError as error:
            findings.absorb(AttnError([d for d in error.diagnostics if not _is_known(d, known)]))
    findings.raise_if_any()
    if not file.attentions:
        raise NoAttention(Path(file.span.source.name).name).error()
    return {item.name: standalone(item, definitions) for item in file.attentions}


def _is_known(found: Diagnostic, known: list[Diagnostic]) -> bool:
    """Whether a call only shows again what is wrong in a definition."""
    endless = ("recursive-definition", "spec-too-large")
    if found.code in endless and any(d.code in endless for d in known):
        return True
    return any(d.code == found.code and d.labels[0] in found.labels for d in known)


def standalone(attention: tree.Attention, definitions: Mapping[str, tree.Define]) -> Attention:
    """An attention with the text of all that it uses beyond the prelude."""
    from attnc.grammar.formatter import format_file

    own = [define for name, define in definitions.items() if prelude().get(name) is not define]
    used = _needed(attention, {define.name: define for define in own})
    file = tree.File((*used, attention))
    return Attention(attention.name, format_file(file), lambda: file)


def _needed(attention: tree.Attention, own: dict[str, tree.Define]) -> list[tree.Define]:
    """Definitions that an attention calls, directly or not, in the order of the file; those that take the place of a
    prelude's too, since defaults and the prelude may call them."""
    found = {name for name in own if name in prelude()}
    stack: list[Any] = [attention, *(own[name] for name in found)]
    while stack:
        item = stack.pop()
        if isinstance(item, tree.Call) and item.function.id in own and item.function.id not in found:
            found.add(item.function.id)
            stack.append(own[item.function.id])
        if isinstance(item, tuple):
            stack.extend(item)
        elif isinstance(item, tree.Node):
            stack.extend(getattr(item, field.name) for field in dataclasses.fields(item))
    return [define for name, define in own.items() if name in found]


# --- decorators ----------------------------------------------------------------------------------------------------


class Definition:
    """A definition made by `@attnc.define`; decorated attentions use it by name."""

    def __init__(self, file: tree.File) -> None:
        (self.tree,) = file.defines
        self.globals: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        return f"<attnc definition '{self.tree.name}'>"

    def __getitem__(self, axes: Any) -> Any:
        raise OutsideAttention(self.tree.name).error()

    def __call__(self, *args: Any) -> Any:
        raise OutsideAttention(self.tree.name).error()


def attention(function: Callable[..., Any]) -> Attention:
    """Makes an attention of a function's source; the function itself is never run.

    Raises AttnError for a function without source and for every mistake, at the user's own line.
    """
    from attnc.grammar.python_front_end import parse_function

    file = parse_function(function)
    own = _definitions_in(function)
    whole = tree.File((*own.values(), *file.items))
    (made,) = make_attentions(whole, None).values()
    made.__dict__["__doc__"] = inspect.getdoc(function)
    made.__dict__["__wrapped__"] = function
    return made


def define(axes: str | Sequence[str] = ()) -> Callable[[Callable[..., Any]], Definition]:
    """`@attnc.define("j")`: makes a definition over these axes of a function's source."""
    from attnc.grammar.python_front_end import parse_define

    if callable(axes):
        made = Definition(parse_define(axes, ()))
        made.globals = _definitions_in(axes)
        return made

    def decorate(function: Callable[..., Any]) -> Definition:
        made = Definition(parse_define(function, axes))
        made.globals = _definitions_in(function)
        return made

    return decorate


def _definitions_in(function: Callable[..., Any]) -> dict[str, tree.Define]:
    """Definitions that a function's names stand for, and those that they use."""
    scope = {**getattr(function, "__globals__", {})}
    closure = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
    found: dict[str, tree.Define] = {}
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    for name in (*names, *closure):
        value = closure.get(name, scope.get(name))
        if type(value) is Definition:  # isinstance() would ask the value for its class, which may be the user's code
            found.update(value.globals)
            found[value.tree.name] = value.tree
    return found
