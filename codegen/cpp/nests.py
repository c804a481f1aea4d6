"""A store that needs no tiles -> a C++ function: points in parallel over the leading axes, lanes along the last."""

from __future__ import annotations

from attnc.planning.plan import Store

from .emitter import Emitter
from .loops import nest_body

_POINTS_PER_TASK = 64


class NestWriter:
    """Writes one function for a store; a task is a run of points of its leading axes."""

    def __init__(self, em: Emitter, store: Store, name: str) -> None:
        self.em = em
        self.store = store
        self.name = name
        self.leading = store.axes[:-1] if len(store.axes) > 1 else ()

    def write(self) -> list[str]:
        em, store = self.em, self.store
        em.line("const Context &x = *(const Context *)context;")
        em.line("(void)worker; (void)task;")
        if not self.leading:
            nest_body(em, store, store.axes)
        else:
            self._points()
        return em.function(f"static void {self.name}(void *context, int64_t task, int worker)")

    def _points(self) -> None:
        em = self.em
        total = " * ".join(em.size(axis.size) for axis in self.leading)
        em.line(f"const int64_t stop = smaller((task + 1) * {_POINTS_PER_TASK}, {total});")
        with em.scope(f"for (int64_t point = task * {_POINTS_PER_TASK}; point < stop; ++point)", {}):
            em.line("int64_t rest = point;")
            for axis in reversed(self.leading):
                name, size = em.fresh("g"), em.size(axis.size)
                em.line(f"const int64_t {name} = rest % {size}; rest /= {size};")
                em.fix(axis, name)
            nest_body(em, self.store, self.store.axes[-1:])

    def tasks(self, em: Emitter) -> str:
        """How many tasks the stage has, spelt by an emitter of the entry."""
        if not self.leading:
            return "1"
        total = " * ".join(em.size(axis.size) for axis in self.leading)
        return f"block_count({total}, {_POINTS_PER_TASK})"
