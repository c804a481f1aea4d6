"""An attention that can be called: the object that `load`, `loads` and the decorator give.

It holds the text of its spec. Everything else (tree, graph, kernels) is made when it is needed, or found in the cache.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from attnc.grammar.tree import Attention as AttentionTree
from attnc.grammar.tree import Define, File

from .card import Card, make_card
from .lowering import lower
from .mistakes import NotDifferentiable
from .pipeline import Derivation

if TYPE_CHECKING:
    import torch

    from attnc.runtime.calls import Caller

Statics = tuple[tuple[str, Any], ...]
# by key: what operations of recorded programs name an attention by
KNOWN: WeakValueDictionary[str, Attention] = WeakValueDictionary()


class Attention:
    """A compiled attention. Call it with its tensors in order (q, k, v where used, then the declared inputs, or any of
    them by keyword) and its parameters by keyword.

    Returns the result as a tensor, several results as a named tuple. Results are contiguous and differentiable in every
    floating input; a result's dtype is torch's promotion of q, k and v, row statistics keep the accumulation dtype.

    Raises AttnError before anything is computed if an argument contradicts the spec.
    """

    def __init__(self, name: str, text: str, file: Callable[[], File] | None = None) -> None:
        """`text` is a file that holds this attention and all it uses; `file` gives its tree if that is known."""
        self.name = name
        self.text = text
        self._file = file
        self._derivations: dict[Statics, Derivation] = {}
        self._cards: dict[Statics, Card] = {}
        self._caller: Caller | None = None
        self._result_type: Any = None
        self._derived: dict[tuple[str, tuple[str, ...]], Derived] = {}
        self.key = f"{name}.{sha256(text.encode()).hexdigest()[:12]}"
        first = KNOWN.setdefault(self.key, self)
        self._first = None if first is self else first  # it lives as long as any of its equals
        if "torch" in sys.modules:  # torch.compile may come before the first call
            _keep_out_of_graphs()

    # --- what it says ------------------------------------------------------------------------------------------

    @cached_property
    def file(self) -> File:
        """The syntax tree of the spec and the definitions that it uses."""
        if self._file is not None:
            return self._file()
        from attnc.grammar.parser import parse

        return parse(self.text, f"<{self.name}>")

    @cached_property
    def tree(self) -> AttentionTree:
        return next(item for item in self.file.attentions if item.name == self.name)

    @cached_property
    def definitions(self) -> Mapping[str, Define]:
        from .definitions import prelude

        return {**prelude(), **{define.name: define for define in self.file.defines}}

    @property
    def doc(self) -> str | None:
        return self.card(()).doc

    def derivation(self, statics: Statics = ()) -> Derivation:
        """What the compiler derives, for given bool and mode parameters (defaults otherwise)."""
        if statics not in self._derivations:
            self._derivations[statics] = self._derive(statics)
        return self._derivations[statics]

    def _derive(self, statics: Statics) -> Derivation:
        return Derivation(lower(self.tree, self.definitions, dict(statics)), self.text)

    def gradient(self, wanted: tuple[str, ...]) -> Derived:
        """The gradient of these inputs as an attention: it takes the inputs, then a cotangent for each floating result,
        and gives a gradient for each of these inputs that the results depend on.

        Raises AttnError for a name that is no floating input."""
        self._check_differentiable(wanted)
        return self.derivative("gradient", wanted)

    def tangent(self, moving: tuple[str, ...]) -> Derived:
        """How the results move with these inputs, as an attention: it takes the inputs, then a tangent for each of
        these, and gives a tangent for each floating result that moves, under its name.

        Raises AttnError for a name that is no floating input."""
        self._check_differentiable(moving)
        return self.derivative("tangent", moving)

    def _check_differentiable(self, names: tuple[str, ...]) -> None:
        known = tuple(item.name for item in self.card().inputs if item.type == "float")
        for name in names:
            if name not in known:
                raise NotDifferentiable(self.name, name, known).error()
        if not names:
            raise NotDifferentiable(self.name, None, known).error()

    def derivative(self, kind: str, inputs: tuple[str, ...]) -> Derived:
        """What `gradient` and `tangent` give, of inputs known to be floating."""
        key = (kind, inputs)
        if key not in self._derived:
            self._derived[key] = Derived(self, kind, inputs)
        return self._derived[key]

    # --- parts of the keys -------------------------------------------------------------------------------------

    def partial(self, *args: torch.Tensor, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        """The state of some of the keys: row statistics, in the precision of sums, that `merge` puts together.

        Takes what a call takes, with the tensors of keys and values cut to these keys. Where the spec reads positions
        of keys, `first_key` says which of all keys the first one is, and `all_keys` how many there are. Differentiable.

        Raises AttnError for a spec that needs all keys at once (two passes, roots, selections), reads keys at shifted
        positions, or has one size for queries and keys.
        """
        found = self.part("partial")(*args, **kwargs)
        return tuple(found) if isinstance(found, tuple) else (found,)

    def merge(
        self, one: Sequence[torch.Tensor], other: Sequence[torch.Tensor], **kwargs: Any
    ) -> tuple[torch.Tensor, ...]:
        """The state of two parts of the keys together, in any order and grouping, to rounding; parameters by keyword.
        A state of no keys changes nothing."""
        found = self.part("merge")(*one, *other, **kwargs)
        return tuple(found) if isinstance(found, tuple) else (found,)

    def finish(self, state: Sequence[torch.Tensor], **kwargs: Any) -> Any:
        """The results, from the state of all keys, in the precision of sums; by keyword parameters and what else they
        read."""
        return self.part("finish")(*state, **kwargs)

    def part(self, kind: str) -> Derived:
        """One of "partial", "merge" and "finish" as an attention."""
        key = (kind, ())
        if key not in self._derived:
            self._derived[key] = Derived(self, kind, ())
        return self._derived[key]

    def card(self, statics: Statics = ()) -> Card:
        """Inputs, parameters and results as plain data; from the cache where it was made before."""
        if statics not in self._cards:
            self._cards[statics] = replace(
                self._find_card(statics),
                tree=lambda: self.tree,
                measured=lambda: self.derivation(statics).meaning.extents,
            )
        return self._cards[statics]

    def _find_card(self, statics: Statics) -> Card:
        from attnc.runtime.cache import digest, load_json, store_json
        from attnc.runtime.deriving import alone
        from attnc.runtime.kernels import generator_digest

        name = digest("card", self.name, self.text, repr(statics), generator_digest()) + ".json"
        data = load_json(name)
        if data is not None:
            return Card.from_json(data)
        with alone():
            card = make_card(self.derivation(statics))
        store_json(name, card.to_json())
        return card

    # --- calling -----------------------------------------------------------------------------------------------

    def __call__(self, *args: torch.Tensor, **kwargs: Any) -> Any:
        from attnc.runtime.compiled import is_compiling

        if is_compiling():
            from attnc.runtime.graphs import call_in_graph

            return call_in_graph(self, args, kwargs)
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Replaces itself by the caller's method at the first call, which is when torch is needed."""
        from attnc.runtime.entry import make_entry

        _keep_out_of_graphs()
        entry = make_entry(self)
        self.__dict__["_call"] = entry
        return entry(args, kwargs)

    def reference(self, *args: torch.Tensor, **kwargs: Any) -> Any:
        """The dense meaning in torch, in the inputs' own dtype: every pair's values are held in memory at once.

        Differentiable by torch to any order.
        """
        from attnc.runtime.dense import reference

        return reference(self, args, kwargs)

    def explain(self, *args: torch.Tensor, **kwargs: Any) -> str:
        """What will run for these tensors and why: passes, tiles, sparsity, bounds on work and memory."""
        from attnc.runtime.explain import explain_call

        return explain_call(self, args, kwargs)

    def source(self, target: str = "cpp", *, backward: bool = False, dtype: str = "float32", width: int = 64) -> str:
        """The generated kernel as text, for "cpp" or "triton". `width` is the size of every feature axis, `dtype` what
        every input holds."""
        from attnc.runtime.show import source_text

        return source_text(self, target, backward, dtype, width)

    def results(self, found: dict[str, Any]) -> Any:
        """A single result, or a named tuple of several."""
        if len(found) == 1:
            return next(iter(found.values()))
        if self._result_type is None:
            self._result_type = _named_results(tuple(found))
        return self._result_type(*found.values())

    @property
    def result_names(self) -> tuple[str, ...]:
        """The results' names, in order."""
        return tuple(result.name for result in self.card().results)

    # --- as an object ------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<attnc attention '{self.name}'>"

    def __copy__(self) -> Attention:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Attention:
        """A spec does not change, so copies of a model share it."""
        return self

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return Attention, (self.name, self.text)


class Derived(Attention):
    """The gradient, the tangent or a part of an attention, itself an attention: differentiable in the same way."""

    def __init__(self, base: Attention, kind: str, inputs: tuple[str, ...]) -> None:
        self.base = base
        self.kind = kind
        self.inputs = inputs
        super().__init__(f"{kind} of {base.name}", f"{base.text}\n# {kind} in {', '.join(inputs)}\n")

    @cached_property
    def file(self) -> File:
        return self.base.file

    @cached_property
    def tree(self) -> AttentionTree:
        return self.base.tree

    def _derive(self, statics: Statics) -> Derivation:
        below = self.base.derivation(statics)
        if self.kind not in ("gradient", "tangent"):
            return Derivation(below.part(self.kind), self.text, is_derivative=True)
        return Derivation(below.derivative(self.kind, self.inputs), self.text, is_derivative=True)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _derived_again, (self.base, self.kind, self.inputs)


def _derived_again(base: Attention, kind: str, inputs: tuple[str, ...]) -> Derived:
    return base.part(kind) if not inputs else base.derivative(kind, inputs)


@cache
def _keep_out_of_graphs() -> None:
    from attnc.runtime.compiled import keep_out_of_graphs

    keep_out_of_graphs(Attention._call)


@cache
def _named_results(names: tuple[str, ...]) -> Any:
    return _made_picklable(namedtuple("Results", names, rename=True), names)


def _made_picklable(made: Any, names: tuple[str, ...]) -> Any:
    made.__reduce__ = lambda results: (_results_again, (names, tuple(results)))
    return made


def _results_again(names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    """Results that were pickled."""
    return _named_results(names)(*values)
