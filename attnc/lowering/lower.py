"""An attention of the syntax tree -> its meaning. All independent mistakes are found and reported together."""

from __future__ import annotations

from collections.abc import Mapping

from attnc.grammar import tree

from ..diagnostics import AttnError, Findings
from ..ir import Axis, Graph, Node
from ..ir.node import walk
from .clauses import check_circles, has_default, let_value, lower_let, lower_mask
from .declarations import (
    declare_axes,
    declare_equalities,
    declare_inputs,
    declare_parameter,
    declare_size_names,
    default_input_names,
    lower_requirements,
    refuse_replaced_size,
)
from .meaning import Meaning, Requirement, Result
from .mistakes import UnboundSize, Wrong
from .scope import STANDARD_SIZES, LetEntry, Scope
from .value import Poisoned, Value

_OUTPUT = "output "


def lower(
    attention: tree.Attention,
    definitions: Mapping[str, tree.Define],
    statics: Mapping[str, bool | str] | None = None,
) -> Meaning:
    """The graph of an attention. `statics` gives its bool and mode parameters (defaults otherwise).

    Raises AttnError with every independent mistake in names, axes and types.
    """
    scope = Scope(Graph(), Findings(), {}, definitions)
    try:
        return _Lowering(scope, attention, statics or {}).run()
    except RecursionError:
        text = "expressions or definitions nest too deeply"
        raise Wrong("spec-too-large", text, attention.name_span).error() from None


class _Lowering:
    def __init__(self, scope: Scope, attention: tree.Attention, statics: Mapping[str, bool | str]) -> None:
        self.scope = scope
        self.attention = attention
        self.given = statics
        self.requirements: list[Requirement] = []
        self.results: list[Result] = []

    def run(self) -> Meaning:
        self._declare()
        self.scope.findings.raise_if_any()
        self._lower_clauses()
        self._lower_results()
        self.scope.findings.raise_if_any()
        check_circles(self.scope)
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
        for name in STANDARD_SIZES:
            scope.size(name)
        self._attempt(declare_size_names, scope, clauses)
        scope.findings.raise_if_any()
        self._attempt(declare_equalities, scope, clauses)
        for clause in clauses:
            if isinstance(clause, tree.Input):
                self._attempt(declare_inputs, scope, clause)
        for clause in clauses:
            if isinstance(clause, tree.Axis):
                self._attempt(declare_axes, scope, clause)
        refuse_replaced_size(scope, clauses)
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
                first = scope.lets[scope.roles[clause.role]].span
                text = f"there is one '{clause.role}' clause at most"
                others = ((first, "the first one"),) if first.source == span.source else ()
                raise Wrong("duplicate-clause", text, span, "a second one", others).error()
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
                helps = (f"declare it: 'axis {name.id}: …'",)
                raise Wrong("not-an-index", f"'{name.id}' is not an index", name.span, helps=helps).error()
            if axis in axes:
                raise Wrong("twice-bound", f"'{name.id}' stands twice on the left", name.span).error()
            axes.append(axis)
        return tuple(axes)

    # --- clauses -----------------------------------------------------------------------------------------------

    def _lower_clauses(self) -> None:
        for position, clause in enumerate(self.attention.clauses):
            if isinstance(clause, tree.Let):
                self._attempt(lower_let, self.scope, clause.name)
            elif isinstance(clause, tree.Mask):
                self._attempt(lower_mask, self.scope, clause, position)
            elif isinstance(clause, tree.Require):
                self._attempt(lambda c: self.requirements.extend(lower_requirements(self.scope, c)), clause)

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
            title = f"the attention '{self.attention.name}' has no result"
            helps = ("add an 'aggregate' or an 'output' clause",)
            raise Wrong("no-result", title, self.attention.name_span, helps=helps).error()
        value, entry = let_value(scope, tree.Name(name), None, entry_span(scope, name, self.attention))
        assert value is not None
        self._result(name, value, entry.indices, entry)

    def _output(self, position: int, item: tree.OutputItem) -> None:
        scope = self.scope
        if any(result.name == item.name for result in self.results):
            raise Wrong("duplicate-name", f"the output '{item.name}' is listed twice", item.span).error()
        if item.value is None:
            self._named_output(item)
            return
        indices = self._indices(item.indices)
        clause = tree.Let("output", item.name, item.indices, item.value, span=item.span, name_span=item.span)
        key = _OUTPUT + item.name
        scope.lets[key] = LetEntry(clause, position, indices, item.span)
        lower_let(scope, key)
        value = scope.lets[key].value
        assert value is not None
        self._result(item.name, value, indices, scope.lets[key])

    def _named_output(self, item: tree.OutputItem) -> None:
        scope = self.scope
        name = tree.Name(item.name, span=item.span)
        if item.name not in scope.lets and not has_default(scope, item.name):
            near = scope.unknown(name)
            raise near.error()
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
            title = f"'{entry.clause.name}' depends on '{axis.name}', which is not listed"
            raise Wrong("missing-index", title, entry.span).error()
        leading = [batch] if batch not in indices and self._has_batch(free) else []
        leading += [axis for axis in (head, group) if axis in free and axis not in indices]
        return (*leading, *indices, *value.vector)

    def _has_batch(self, free: frozenset[Axis]) -> bool:
        scope = self.scope
        batch = scope.size("B")
        return scope.current("b") in free or any(
            batch in declared.tensor.sizes for declared in scope.inputs.values()
        )

    # --- the end -----------------------------------------------------------------------------------------------

    def _check_sizes(self) -> None:
        """Every size that the results use must be told by an input."""
        scope = self.scope
        told = {size for name in self._signature() for size in scope.inputs[name].tensor.sizes}
        told |= {size for name, size in scope.sizes.items() if scope.canonical(size) in told}
        roots = [result.node for result in self.results] + [r.condition for r in self.requirements]
        roots += [axis.size for result in self.results for axis in result.axes]
        roots += [axis.size for root in roots[: len(self.results)] for node in walk(root) for axis in node.bound]
        roots += [size for name in self._signature() for size in scope.inputs[name].tensor.sizes]
        for root in roots:
            for node in walk(root):
                if node.kind == "size" and node not in told:
                    span = node.span if node.span.source.text else self.attention.name_span
                    raise UnboundSize(span, node.attribute, self._size_helps(node.attribute)).error()

    def _size_helps(self, name: str) -> tuple[str, ...]:
        for index, size in (("i", "M"), ("j", "N")):
            axis = self.scope.axes.get(index)
            if name == size and axis is not None and axis.size.kind == "size" and axis.size.attribute != size:
                return (f"'{index}' runs over '{axis.size.attribute}' here: use that size",)
        return ()

    def _signature(self) -> list[str]:
        """Names of the inputs in calling order: q, k, v where used, then the declared ones."""
        scope = self.scope
        standard = [n for n in ("q", "k", "v") if n in scope.inputs and (n in scope.declared or n in self._read())]
        declared = [n for n in scope.inputs if n not in standard and not scope.inputs[n].is_default]
        return standard + declared

    def _read(self) -> set[str]:
        roots = [result.node for result in self.results] + [r.condition for r in self.requirements]
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
            dict(scope.equal),
            tuple(scope.exact_divisions),
        )


def entry_span(scope: Scope, name: str, attention: tree.Attention):  # type: ignore[no-untyped-def]
    entry = scope.lets.get(name)
    return entry.span if entry is not None and entry.span.source.text else attention.name_span


def _usual_order(scope: Scope):  # type: ignore[no-untyped-def]
    """Queries before keys before features, then as declared."""
    places = {scope.axes[name]: n for n, name in enumerate(("i", "j", "d", "e")) if name in scope.axes}

    def key(axis: Axis) -> tuple[int, int]:
        return places.get(axis, 9), axis.number

    return key


def sizes_of(meaning: Meaning) -> set[Node]:
    """Every size that an input of the spec tells."""
    return {size for declared in meaning.inputs for size in declared.tensor.sizes if size.kind == "size"}
