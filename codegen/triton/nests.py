"""A store that needs no tiles -> a Triton kernel: a block of the last long axis, all features of the last width."""

from __future__ import annotations

from attnc.ir import Axis
from attnc.ir.roles import WIDTH, Roles
from attnc.planning.plan import Store

from .emitter import Block, Emitter
from .reads import store_value


class NestWriter:
    """Writes one kernel for a store."""

    def __init__(self, em: Emitter, store: Store, roles: Roles) -> None:
        self.em = em
        self.store = store
        axes = list(store.axes)
        is_width = bool(axes) and roles.of(axes[-1]) == WIDTH and em.names.constant(axes[-1].size) is not None
        self.width: Axis | None = axes.pop() if is_width else None
        self.row: Axis | None = axes.pop() if axes else None
        self.leading = tuple(axes)

    def write(self, header: str) -> list[str]:
        em = self.em
        em.line("rest = tl.program_id(0)")
        if self.row is not None:
            self._rows(self.row)
        for place, axis in enumerate(reversed(self.leading)):
            name, size = em.fresh("g"), em.size(axis.size)
            em.line(f"{name} = rest % {size}" if place < len(self.leading) - 1 else f"{name} = rest")
            em.line(f"rest = rest // {size}")
            em.fix(axis, name)
        em.order = (self.row,) if self.row is not None else ()
        if self.width is None:
            store_value(em, self.store)
        else:
            for part in em.names.parts(self.width):
                with em.part(self.width, part):
                    store_value(em, self.store)
        return em.function(header)

    def _rows(self, row: Axis) -> None:
        em = self.em
        rows, count = em.names.block("ROWS"), em.size(row.size)
        em.line(f"blocks = tl.cdiv({count}, {rows})")
        em.line(f"first_row = rest % blocks * {rows}")
        em.line("rest = rest // blocks")
        em.line(f"row_offsets = tl.arange(0, {rows})")
        em.line(f"row_valid = first_row + row_offsets < {count}")
        em.fix_block(row, Block("first_row", "row_offsets", rows, "row_valid"))
