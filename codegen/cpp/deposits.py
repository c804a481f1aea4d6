"""What a sweep adds to memory: along the columns, pair by pair, scattered, or one share for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.ir import Axis
from attnc.ir.node import INT

from ..statements import Collect
from .names import literal
from .reads import locate, stride_of

if TYPE_CHECKING:
    from .emitter import Emitter, Value
    from .passes import PassWriter


def combine(op: str, left: str, right: str) -> str:
    """Two partial results of a reduction as one."""
    if op in ("sum", "total"):
        return f"{left} + {right}"
    return f"{left} * {right}" if op == "prod" else f"v{op}({left}, {right})"


class DepositWriter:
    """Writes additions to an accumulator's storage at the current indices."""

    def __init__(self, owner: PassWriter) -> None:
        self.owner = owner
        self.em: Emitter = owner.em
        self.loop: Axis = owner.run.tiles.loop
        self.columns = owner.blocks.columns

    def _target(self, collect: Collect) -> str:
        assert collect.storage is not None
        positions = tuple(self.em.graph.index(axis) for axis in collect.storage_axes)
        place = locate(self.em, collect.storage, positions)
        return f"({self.em.names.tensor(collect.storage)} + {place.offset})"

    def column_local(self, collect: Collect) -> str:
        """A local with one value for each column of the tile."""
        name = self.em.fresh("column")
        self.owner.fields.append(f"T {name}[{self.columns}];")
        neutral = self.em.graph.neutral(collect.op, collect.value.type)
        start = literal(neutral.attribute, collect.value.type)
        self.em.line(f"for (int64_t n = 0; n < {self.columns}; ++n) s.{name}[n] = {start};")
        return name

    def columns_to_memory(self, collect: Collect, name: str) -> None:
        with self.em.scope("for (int64_t c = begin; c < end; ++c)", {self.loop: "(first + c)"}):
            target = self._target(collect)
            self.em.line(f"*{target} = {combine(collect.op, f'*{target}', f's.{name}[c]')};")

    def scalar_to_memory(self, collect: Collect, text: str) -> None:
        target = self._target(collect)
        self.em.line(f"*{target} = {combine(collect.op, f'*{target}', text)};")

    def lanes_to_memory(self, collect: Collect, text: str) -> None:
        """storage[…, lanes] += text."""
        em = self.em
        assert collect.storage is not None
        positions = tuple(em.graph.index(axis) for axis in collect.storage_axes)
        place = locate(em, collect.storage, positions)
        target = f"({em.names.tensor(collect.storage)} + {place.offset})"
        bound = em.valid or "lanes<T>"
        em.line(f"for (int64_t l = 0; l < {bound}; ++l) {target}[l * ({place.step})] += {text}[l];")

    def scatter(self, collect: Collect, masked: str) -> None:
        """Each lane is added where its position says; positions outside are dropped, as reads outside are 0. Lanes that
        all go to one place are summed first: beyond a clamp most do, and long sums of single numbers lose digits."""
        em = self.em
        assert collect.storage is not None
        count = em.valid or "lanes<T>"
        scattered = {axis: em.value(position) for axis, position in collect.positions}
        moving = [position.text for position in scattered.values() if position.lanes]
        one_place = self.loop not in collect.storage_axes and moving
        if one_place:
            fold = "hsum_longs" if collect.value.type == INT else "hsum"
            same = " && ".join(f"all_same({text}, {count})" for text in moving)
            with em.scope(f"if ({same})", {}):
                offset, tests = self._scattered_place(collect, scattered, "0")
                em.line(f"if ({' && '.join(tests) or 'true'}) {offset} += {fold}({masked});")
        with em.scope("else" if one_place else "", {}):
            offset, tests = self._scattered_place(collect, scattered, "l")
            em.line(
                f"for (int64_t l = 0; l < {count}; ++l) if ({' && '.join(tests) or 'true'}) {offset} += {masked}[l];"
            )

    def _scattered_place(self, collect: Collect, scattered: dict[Axis, Value], lane: str) -> tuple[str, list[str]]:
        """The element that a lane adds to, and what must hold for it to exist."""
        em = self.em
        assert collect.storage is not None
        offset, tests = "0", []
        for dim, axis in enumerate(collect.storage_axes):
            step = stride_of(em, collect.storage, dim)
            if axis in scattered:
                position = scattered[axis]
                place = f"int64_t({position.text}[{lane}])" if position.lanes else position.text
                tests.append(f"{place} >= 0 && {place} < {em.size(axis.size)}")
                offset += f" + {place} * {step}"
            else:
                coordinate = f"{em.coordinate(axis)} + {lane}" if axis is self.loop else em.coordinate(axis)
                offset += f" + ({coordinate}) * {step}"
        return f"{em.names.tensor(collect.storage)}[{offset}]", tests
