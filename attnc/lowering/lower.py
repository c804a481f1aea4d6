"""An attention of the syntax tree -> its meaning. All independent mistakes are found and reported together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attnc.grammar import tree

from ..diagnostics import AttnError, Findings, Label, Span
from ..ir import Axis, Graph, Node
from ..ir.node import walk
from .clauses import check_circles, has_default, let_value, lower_let, lower_mask
from .declarations import (
    declare_axis,
    declare_equalities,
    declare_input,
    declare_parameter,
    declare_size_names,
    default_input_names,
    depends_on_static,
    find_replaced_sizes,
    lower_requirements,
    name_sizes,
    names_in,
)
from .meaning import Meaning, Requirement, Result
from .mistakes import (
    DuplicateClause,
    DuplicateOutput,
    MaskNever,
    MissingIndex,
    NoResult,
    OutputNotLet,
    SpecTooLarge,
    TwiceBound,
    UnboundSize,
    spelled,
)
from .recurrences import resolve_circles
from .scope import STANDARD_INDICES, STANDARD_SIZES, LetEntry, Scope
from .sizes import is_never_true
from .value import Hopeless, Poisoned, Value

_OUTPUT = "output "


def lower(
    attention: tree.Attention,
    definitions: Mapping[str, tree.Define],
    statics: Mapping[str, bool | str] | None = None,
) -> Meaning:
    """The graph of an attention. `statics` gives its bool and mode parameters (defaults otherwise).

    Raises AttnError with every independent mistake in names, axes and types.
    """
    scope = Scope(Graph(), Findings(), {}, definitions, attention.name_span.source)
    try:
        return _Lowering(scope, attention, statics or {}).run()
    except RecursionError:
        raise SpecTooLarge(attention.name_span, "expressions or definitions nest too deeply").error() from None
    except Hopeless as stop:
        raise SpecTooLarge(stop.span or attention.name_span, stop.what, stop.limit).error() from None


class _Lowering:
    def __init__(self, scope: Scope, attention: tree.Attention, statics: Mapping[str, bool | str]) -> None:
        self.scope = scope
        self.attention = attention
        self.given = statics
        self.requirements: list[Requirement] = []
        self.results: list[Result] = []
        self.derived: dict[str, Node] = {}

    def run(self) -> Meaning:
        self._declare()
        self.scope.findings.raise_if_any()
        self._lower_clauses()
        self._check_masks()
        if not self.scope.findings.found:
            check_circles(self.scope)
            self.scope.findings.raise_if_any()
            resolve_circles(self.scope)
        self._lower_results()
        self.scope.findings.raise_if_any()
        self._check_sizes()
        return self._meaning()

    def _attempt(self, action: object, *args: object) -> None:
        """Runs a step; its mistakes are kept and the next step goes on."""
        assert callable(action)
        try:
            action(*args)
        except AttnError as error:
            self.scope.findings.absorb(error)
        except Poisoned:
            pass

    # --- declarations ------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        scope, clauses = self.scope, self.attention.clauses
        for parameter in self.attention.parameters:
            self._attempt(declare_parameter, scope, parameter)
        scope.statics = self._statics()
        name_sizes(scope, self.attention)
        find_replaced_sizes(scope, clauses)
        self._attempt(declare_size_names, scope, clauses)
        self._attempt(declare_equalities, scope, clauses)
        for clause in clauses:
            for item in clause.items if isinstance(clause, tree.Input) else ():
                self._attempt(declare_input, scope, item)
        for clause in clauses:
            for axis in clause.items if isinstance(clause, tree.Axis) else ():
                self._attempt(declare_axis, scope, axis)
        for position, clause in enumerate(clauses):
            if isinstance(clause, tree.Let):
                self._attempt(self._declare_let, position, clause)

    def _statics(self) -> dict[str, bool | str]:
        out: dict[str, bool | str] = {}
        for declared in self.scope.parameters.values():
            if declared.is_static:
                default = declared.default
                if default is None:
                    default = declared.modes[0] if declared.type == "mode" else False
                assert isinstance(default, (bool, str))
                out[declared.name] = self.given.get(declared.name, default)
        return out

    def _declare_let(self, position: int, clause: tree.Let) -> None:
        scope = self.scope
        span = clause.name_span
        if clause.role != "let":
            if clause.role in scope.roles:
                first = scope.declared[scope.roles[clause.role]][0]
                raise DuplicateClause(span, clause.role, first).error()
            scope.roles[clause.role] = clause.name
        scope.declare(clause.name, span, "a result" if clause.role == "aggregate" else "a let")
        scope.axes.pop(clause.name, None)
        scope.lets[clause.name] = LetEntry(clause, position, self._indices(clause.indices), span)

    def _indices(self, names: tuple[tree.Name, ...] | None) -> tuple[Axis, ...] | None:
        if names is None:
            return None
        axes: list[Axis] = []
        for name in names:
            axis = self.scope.axis(name.id)
            if axis is None:
                raise self.scope.not_an_index(name, "only indices stand in the brackets on the left").error()
            if axis in axes:
                raise TwiceBound(name.span, name.id, "on the left", names[axes.index(axis)].span).error()
            axes.append(axis)
        return tuple(axes)

    # --- clauses -----------------------------------------------------------------------------------------------

    def _lower_clauses(self) -> None:
        clauses = self.attention.clauses
        self.scope.waiting_masks |= {n: clause for n, clause in enumerate(clauses) if isinstance(clause, tree.Mask)}
        for position, clause in enumerate(clauses):
            if isinstance(clause, tree.Let):
                self._attempt(lower_let, self.scope, clause.name)
            elif isinstance(clause, tree.Mask):
                self._attempt(lower_mask, self.scope, position)
            elif isinstance(clause, tree.Require):
                self._attempt(lambda c: self.requirements.extend(lower_requirements(self.scope, c)), clause)

    def _check_masks(self) -> None:
        """A mask must leave something of what is required."""
        scope, graph = self.scope, self.scope.graph
        spans = {clause.condition.span: clause for clause in self.attention.clauses if isinstance(clause, tree.Mask)}
        for mask in scope.masks:
            clause = spans.get(mask.span)
            if clause is None or depends_on_static(scope, clause.condition):
                continue
            for requirement in self.requirements:
                if is_never_true(graph.all(mask.condition, requirement.condition), graph):
                    scope.findings.add(MaskNever(mask.span, required=Label(requirement.span, "this is required")))
                    break

    def _lower_results(self) -> None:
        outputs = [clause for clause in self.attention.clauses if isinstance(clause, tree.Output)]
        if not outputs:
            name = self.scope.roles.get("aggregate", "out")
            self._attempt(self._default_result, name)
        for position, clause in enumerate(self.attention.clauses):
            for item in clause.items if isinstance(clause, tree.Output) else ():
                self._attempt(self._output, position, item)

    def _default_result(self, name: str) -> None:
        """The aggregate; by default it is called `out`."""
        scope = self.scope
        if name not in scope.lets and not has_default(scope, name):
            raise NoResult(self.attention.name_span, self.attention.name).error()
        value, entry = let_value(scope, tree.Name(name), None, entry_span(scope, name, self.attention))
        assert value is not None
        self._result(name, value, entry.indices, entry)

    def _output(self, position: int, item: tree.OutputItem) -> None:
        scope = self.scope
        if any(result.name == item.name for result in self.results):
            raise DuplicateOutput(item.span.name(item.name), item.name).error()
        if item.value is None:
            self._named_output(item)
            return
        indices = self._indices(item.indices)
        name = item.span.name(item.name)
        clause = tree.Let("output", item.name, item.indices, item.value, span=item.span, name_span=name)
        key = _OUTPUT + item.name
        scope.lets[key] = LetEntry(clause, position, indices, name)
        lower_let(scope, key)
        value = scope.lets[key].value
        assert value is not None
        self._result(item.name, value, indices, scope.lets[key])

    def _named_output(self, item: tree.OutputItem) -> None:
        scope = self.scope
        name = tree.Name(item.name, span=item.span)
        if item.name not in scope.lets and not has_default(scope, item.name):
            if item.name in scope.declared or scope.role(item.name) is not None:
                raise OutputNotLet(item.span, item.name, scope.role(item.name) or "").error()
            raise scope.unknown(name).error()
        value, entry = let_value(scope, name, None, item.span)
        assert value is not None
        self._result(item.name, value, self._indices(item.indices) or entry.indices, entry)

    def _result(self, name: str, value: Value, indices: tuple[Axis, ...] | None, entry: LetEntry) -> None:
        axes = self._result_axes(value, indices, entry)
        self.results.append(Result(name, value.node, axes, entry.span))

    def _result_axes(self, value: Value, indices: tuple[Axis, ...] | None, entry: LetEntry) -> tuple[Axis, ...]:
        """Batch, then heads if the value depends on them and does not list them, the indices, the vector."""
        scope = self.scope
        batch, head, group = scope.current("b"), scope.current("h"), scope.group_axis()
        free = value.node.axes - frozenset(value.vector)
        if indices is None:
            indices = tuple(sorted(free - {batch, head, group}, key=_usual_order(scope)))
        missing = free - frozenset(indices) - {batch, head, group}
        if missing:
            axis = min(missing)
            listed = tuple(index.name for index in indices)
            raise MissingIndex(entry.span, entry.clause.name, axis.name, None, listed).error()
        leading = [batch] if batch not in indices and self._has_batch(free) else []
        leading += [axis for axis in (head, group) if axis in free and axis not in indices]
        return (*leading, *indices, *value.vector)

    def _has_batch(self, free: frozenset[Axis]) -> bool:
        scope = self.scope
        batch = scope.size("B")
        return scope.current("b") in free or any(batch in declared.tensor.sizes for declared in scope.inputs.values())

    # --- the end -----------------------------------------------------------------------------------------------

    def _check_sizes(self) -> None:
        """Every size that the results use must be told by an input."""
        scope = self.scope
        told = {size for name in self._signature() for size in scope.inputs[name].tensor.sizes}
        self.derived = derived_sizes(scope, told)
        told |= {scope.graph.size(name) for name in (*self.derived, *scope.extents)}
        roots = [result.node for result in self.results] + [r.condition for r in self.requirements]
        roots += [axis.size for result in self.results for axis in result.axes]
        roots += [axis.size for root in roots[: len(self.results)] for node in walk(root) for axis in node.bound]
        roots += [size for name in self._signature() for size in scope.inputs[name].tensor.sizes]
        roots += scope.extents.values()
        for root in roots:
            for node in walk(root):
                if node.kind == "size" and node not in told:
                    place = self._place_of(node.attribute)
                    raise UnboundSize(place, node.attribute, self._size_helps(node, told, place)).error()

    def _size_helps(self, size: Node, told: set[Node], place: Span) -> tuple[str, ...]:
        scope = self.scope
        if size is scope.size("H") and scope.size("G") in told:
            return (f"say that each key/value head has one head: '{spelled(place, 'require', 'H == G')}'",)
        if size.attribute not in STANDARD_SIZES:
            return (f"make it a parameter: '{size.attribute}: int'",)
        return ()

    def _place_of(self, size: str) -> Span:
        """Where a size is first named, or else an index over it."""
        indices = {name for name, axis in self.scope.axes.items() if axis.size is self.scope.graph.size(size)}
        indices |= {name for name, of in STANDARD_INDICES.items() if of == size and name not in self.scope.declared}
        names = names_in(self.attention.clauses)
        found = next((name for name in names if name.id == size), None)
        found = found or next((name for name in names if name.id in indices), None)
        return found.span if found is not None else self.attention.name_span

    def _signature(self) -> list[str]:
        """Names of the inputs in calling order: q, k, v where used, then the declared ones."""
        scope = self.scope
        standard = [n for n in ("q", "k", "v") if n in scope.inputs and (n in scope.declared or n in self._read())]
        declared = [n for n in scope.inputs if n not in standard and not scope.inputs[n].is_default]
        return standard + declared

    def _read(self) -> set[str]:
        roots = [result.node for result in self.results] + [r.condition for r in self.requirements]
        roots += self.scope.extents.values()
        return {node.attribute.name for root in roots for node in walk(root) if node.kind == "read"}

    def _meaning(self) -> Meaning:
        scope = self.scope
        default_input_names(scope)
        return Meaning(
            self.attention.name,
            self.attention.doc,
            scope.graph,
            tuple(scope.inputs[name] for name in self._signature()),
            tuple(scope.parameters.values()),
            tuple(self.requirements),
            tuple(self.results),
            self.derived,
            tuple(scope.exact_divisions),
            scope.extents,
        )


def entry_span(scope: Scope, name: str, attention: tree.Attention) -> Span:
    entry = scope.lets.get(name)
    return entry.span if entry is not None else attention.name_span


def _usual_order(scope: Scope) -> Callable[[Axis], tuple[int, int]]:
    """Queries before keys before features, then as declared."""
    places = {scope.axes[name]: n for n, name in enumerate(("i", "j", "d", "e")) if name in scope.axes}

    def key(axis: Axis) -> tuple[int, int]:
        return places.get(axis, 9), axis.number

    return key


def derived_sizes(scope: Scope, told: set[Node]) -> dict[str, Node]:
    """Sizes that no input tells but `require M == N` does, from those that inputs tell."""
    known = set(told)
    out: dict[str, Node] = {}
    for _ in scope.equal:
        for name, value in scope.equal.items():
            size = scope.graph.size(name)
            if size not in known and all(part in known for part in walk(value) if part.kind == "size"):
                out[name] = value
                known.add(size)
            elif size in known and value.kind == "size" and value not in known:
                out[value.attribute] = size
                known.add(value)
    return out
