"""Definitions of a file, checked by themselves: unknown names and functions, definitions that call themselves.

What depends on the arguments (types, axes) shows only in a call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from attnc.grammar import tree

from ..diagnostics import Findings, did_you_mean
from .calls import BUILT_IN, FOREIGN
from .mistakes import NotAnAxisOfDefinition, RecursiveDefinition, UnknownFunction
from .reading import unknown_in
from .scans import FLAGS
from .scope import CONSTANTS


def check_definitions(
    own: Iterable[tree.Define], definitions: Mapping[str, tree.Define], prelude: Container[str], findings: Findings
) -> None:
    """Adds what is wrong in a file's own definitions; `prelude` are the names that they may take over."""
    calls = {name: list(_calls(define)) for name, define in definitions.items()}
    circular: set[str] = set()
    for define in own:
        known = {axis.id for axis in define.axes} | {formal.name for formal in define.formals}
        for formal in define.formals:
            if formal.default is not None:
                _check(formal.default, define, set(), definitions, findings)
        for name, value in define.bindings:
            _check(value, define, known, definitions, findings)
            known = known | {name.id}
        _check(define.value, define, known, definitions, findings)
        if define.name not in circular:
            circular |= _refuse_circle(define, calls, prelude, findings)


def _check(
    value: object, define: tree.Define, known: set[str], definitions: Mapping[str, tree.Define], findings: Findings
) -> None:
    if isinstance(value, tree.Name):
        if value.id not in known and value.id not in CONSTANTS:
            findings.add(unknown_in(define, value, sorted(known)))
        return
    if isinstance(value, tree.Call):
        known = _check_call(value, define, known, definitions, findings)
        children: Iterable[object] = (value.bracket.condition if value.bracket else None, *value.arguments)
    else:
        children = _parts(value)
    for child in children:
        _check(child, define, known, definitions, findings)


def _check_call(
    call: tree.Call, define: tree.Define, known: set[str], definitions: Mapping[str, tree.Define], findings: Findings
) -> set[str]:
    """Checks the function and the bracket; gives the names that its arguments see."""
    name = call.function.id
    if name not in definitions and name not in BUILT_IN:
        near = did_you_mean(name, [*BUILT_IN, *definitions])
        findings.add(UnknownFunction(call.function.span, name, near, FOREIGN.get(name)))
    indices = call.bracket.indices if call.bracket is not None else ()
    if name == "root" and name not in definitions:
        return known | {index.id for index in indices}
    axes = tuple(axis.id for axis in define.axes)
    for index in indices:
        if index.id not in axes and index.id not in FLAGS:
            findings.add(NotAnAxisOfDefinition(index.span, index.id, define.name, axes))
    return known


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, tuple):
        yield from value
    elif isinstance(value, tree.Node):
        yield from (getattr(value, field) for field in value.__dataclass_fields__ if field != "span")


def _refuse_circle(
    define: tree.Define, calls: Mapping[str, Sequence[tree.Call]], prelude: Container[str], findings: Findings
) -> set[str]:
    """A definition must not call itself, through whatever others; gives the definitions of such a circle."""
    for call in calls[define.name]:
        way = _way_back(call.function.id, define.name, calls)
        if way is not None:
            findings.add(RecursiveDefinition(call.function.span, define.name, way, define.name in prelude))
            return {define.name, *way}
    return set()


def _way_back(start: str, target: str, calls: Mapping[str, Sequence[tree.Call]]) -> tuple[str, ...] | None:
    """The definitions on the way from a called one back to `target`; None where there is no way."""
    reached_from: dict[str, str | None] = {start: None}
    waiting = deque([start])
    while waiting:
        name = waiting.popleft()
        if name == target:
            return _way_to(reached_from[name], reached_from)
        for call in calls.get(name, ()):
            if call.function.id not in reached_from:
                reached_from[call.function.id] = name
                waiting.append(call.function.id)
    return None


def _way_to(name: str | None, reached_from: Mapping[str, str | None]) -> tuple[str, ...]:
    out: list[str] = []
    while name is not None:
        out.append(name)
        name = reached_from[name]
    return tuple(reversed(out))


def _calls(value: object) -> Iterator[tree.Call]:
    if isinstance(value, tree.Call):
        yield value
    for part in _parts(value):
        yield from _calls(part)
