"""The whole compiler on one page: a spec's meaning -> kernels, one line for each stage.

meaning -> forward graph (groups lifted, shifts proved, sums split) -> gradient graph -> what is kept -> plan ->
statements -> source. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from attnc.codegen.cpp.names import USUAL_CACHE
from attnc.codegen.cpp.program import Source, write_program
from attnc.codegen.names import Layout
from attnc.codegen.plan_to_statements import to_statements
from attnc.codegen.statements import Program
from attnc.codegen.triton.program import TritonSource, write_module

from .analysis.exchange import exchange_sums
from .analysis.given_shifts import give_shifts
from .analysis.groups import find_groups, lift_groups
from .analysis.joins import join_sums
from .analysis.own_shifts import own_shifts
from .analysis.parts import in_parts
from .analysis.saves import Saved, choose_saves
from .analysis.shared_heads import heads_as_rows
from .analysis.shifts import prove_shifts
from .analysis.splits import split_sums
from .analysis.support import NotLowered, first_not_monotone, first_unsupported
from .analysis.token_orders import TokenOrders, find_token_orders
from .derivatives.roots import find_slopes
from .derivatives.twins import join_twins
from .derivatives.vjp import Seed, vjp
from .derived import gradient_meaning, tangent_meaning
from .diagnostics import AttnError
from .ir import Axis, Node, Tensor
from .ir.node import COTANGENT, FLOAT, GRADIENT
from .ir.roles import LENGTH, WIDTH, Roles, find_roles
from .lowering import Meaning, Result
from .merging import finish_meaning, merge_meaning, partial_meaning
from .planning.plan import Plan
from .planning.planner import Target, make_plan
from .reordering import reordered_meaning


@dataclass(frozen=True)
class Output:
    """A tensor that a kernel fills: its shape's axes and whether it has the compute dtype ("sum"), the results'
    ("result"), an input's (its name), or is of integers or conditions."""

    tensor: Tensor
    axes: tuple[Axis, ...]
    dtype: str


@dataclass
class Derivation:
    """What is derived from one attention, each part when it is first asked for. `text` is the spec, for readers.

    The sums of a derivative were checked where the spec was.
    """

    meaning: Meaning
    text: str = ""
    is_derivative: bool = False
    _gradients: dict[tuple[str, ...], Gradient] = field(default_factory=dict)

    @cached_property
    def roles(self) -> Roles:
        return find_roles([declared.tensor.sizes for declared in self.meaning.inputs], self.meaning.roots)

    @cached_property
    def unsupported(self) -> NotLowered | None:
        """The first construct that has no lowering yet."""
        found = (first_unsupported(root) for root in self.meaning.roots)
        return next((one for one in found if one is not None), None) or self._unsupported_sum()

    def _unsupported_sum(self) -> NotLowered | None:
        from .analysis.support import first_mixing_of_heads

        if self.is_derivative:
            return None

        found = (first_mixing_of_heads(root, self.roles) for root in self.meaning.roots)
        return next((one for one in found if one is not None), None)

    @cached_property
    def forward(self) -> dict[str, tuple[Node, tuple[Axis, ...]]]:
        """The results' nodes and axes, in the form that kernels and the reference compute."""
        if self.unsupported is not None:
            raise self.unsupported.error()
        graph = self.meaning.graph
        out: dict[str, tuple[Node, tuple[Axis, ...]]] = {}
        for result in self.meaning.results:
            solved = find_slopes(graph, result.node, self.roles)
            wrong = first_not_monotone(solved)
            if wrong is not None:
                raise wrong.error()
            lifted = lift_groups(graph, find_groups(graph, solved, self.roles))
            proved = give_shifts(graph, prove_shifts(graph, lifted), self.roles)
            (exchanged,) = exchange_sums(graph, [split_sums(graph, proved, self.roles)], self.roles)
            out[result.name] = (exchanged, result.axes)
        return out

    @property
    def float_results(self) -> list[Result]:
        return [result for result in self.meaning.results if result.node.type == FLOAT]

    def cotangent(self, result: Result) -> Tensor:
        return Tensor(COTANGENT + result.name, tuple(axis.size for axis in result.axes), FLOAT, "cotangent")

    def gradient(self, wanted: Sequence[str]) -> Gradient:
        """Gradients of these inputs."""
        key = tuple(sorted(wanted))
        if key not in self._gradients:
            self._gradients[key] = self._differentiate(key)
        return self._gradients[key]

    def _differentiate(self, wanted: tuple[str, ...]) -> Gradient:
        graph = self.meaning.graph
        forward = self.forward
        cotangents = {result.name: self.cotangent(result) for result in self.float_results}
        seeds = [Seed(forward[name][0], forward[name][1], tensor) for name, tensor in cotangents.items()]
        tensors = [declared.tensor for declared in self.meaning.inputs if declared.name in wanted]
        found = join_twins(graph, vjp(graph, seeds, tensors, self.roles), self.roles)
        parts = [(tensor, part) for tensor in tensors for part in found[tensor]]
        nodes = [lift_groups(graph, find_groups(graph, part.node, self.roles)) for _, part in parts]
        nodes = exchange_sums(graph, nodes, self.roles)
        saves = choose_saves(graph, nodes, forward, frozenset(cotangents.values()), self.roles)
        targets = [
            Target(Tensor(GRADIENT + tensor.name, tensor.sizes, FLOAT, "result"), part.axes, node)
            for (tensor, part), node in zip(parts, (join_sums(graph, node, self.roles) for node in saves.gradients))
        ]
        missing = tuple(tensor.name for tensor in tensors if not found[tensor])
        return Gradient(tuple(targets), tuple(saves.kept), missing, tuple(cotangents.values()))

    def derivative(self, kind: str, inputs: Sequence[str]) -> Meaning:
        """What the gradient or the tangent in these inputs means, an attention of its own."""
        make = {"gradient": gradient_meaning, "tangent": tangent_meaning}[kind]
        return make(self.meaning, self.forward, self.roles, inputs)

    @cached_property
    def token_orders(self) -> TokenOrders:
        """How tokens are sorted where that leaves fewer tiles with pairs."""
        return find_token_orders(self.meaning.graph, self.forward, self.roles)

    @cached_property
    def reordered(self) -> Derivation:
        """What is derived of tensors that are sorted so."""
        meaning = reordered_meaning(self.meaning, self.token_orders.orders)
        return Derivation(meaning, self.text, self.is_derivative)

    def part(self, kind: str) -> Meaning:
        """Of parts of the keys: what one gives ("partial"), two together ("merge"), all at last ("finish")."""
        make = {"partial": partial_meaning, "merge": merge_meaning, "finish": finish_meaning}[kind]
        return make(self.meaning, self.forward, self.roles)

    # --- what kernels fill -------------------------------------------------------------------------------------

    def forward_outputs(self, kept: Sequence[Saved]) -> list[Output]:
        outputs = []
        for result in self.meaning.results:
            node, axes = self.forward[result.name]
            tensor = Tensor(result.name, tuple(axis.size for axis in axes), node.type, "result")
            dtype = f"like {result.like}" if result.like else self._result_dtype(node, axes)
            dtype = "sum" if result.is_wide else dtype
            outputs.append(Output(tensor, axes, dtype))
        for saved in kept:
            if saved.result is None:
                outputs.append(Output(saved.tensor, saved.axes, "sum" if saved.node.type == FLOAT else saved.node.type))
        return outputs

    def _result_dtype(self, node: Node, axes: tuple[Axis, ...]) -> str:
        """Statistics of rows keep the precision that they were summed in."""
        if node.type != FLOAT:
            return node.type
        featured = any(self.roles.of(axis) == WIDTH for axis in axes)
        pairwise = len(self.roles.axes(axes, LENGTH)) > 1
        return "result" if featured or pairwise else "sum"

    def plan_forward(self, kept: Sequence[Saved], takes_parts: bool = False) -> Plan:
        """`takes_parts`: the keys of a row are taken in parts, which are merged."""
        targets = []
        for name, (node, axes) in self.forward.items():
            targets.append(Target(Tensor(name, tuple(a.size for a in axes), node.type, "result"), axes, node))
        targets += [Target(saved.tensor, saved.axes, saved.node) for saved in kept if saved.result is None]
        targets = [replace(t, node=own_shifts(self.meaning.graph, t.node, self.roles)) for t in targets]
        if takes_parts:
            nodes = heads_as_rows(self.meaning.graph, [target.node for target in targets], self.roles)
            nodes = in_parts(self.meaning.graph, nodes, self.roles)
            targets = [replace(target, node=node) for target, node in zip(targets, nodes)]
        return make_plan(self.meaning.graph, targets, self.roles)

    def plan_backward(self, gradient: Gradient, both: bool = True) -> Plan:
        """`both`: passes may own their rows and sum along columns too (not where blocks of rows run in parallel)."""
        return make_plan(self.meaning.graph, gradient.targets, self.roles, both=both)

    # --- source ------------------------------------------------------------------------------------------------

    def statements(self, plan: Plan) -> Program:
        return to_statements(plan, self.roles)

    def source(
        self,
        plan: Plan,
        compute: str,
        widths: Mapping[str, int],
        layouts: Mapping[str, Layout],
        header: str,
        near_bytes: int = USUAL_CACHE,
    ) -> Source:
        """C++ for a plan, for given dtypes, widths, layouts and bytes of a core's second-level cache."""
        return write_program(self.meaning.graph, self.statements(plan), compute, widths, layouts, header, near_bytes)

    def triton_source(
        self,
        plan: Plan,
        compute: str,
        widths: Mapping[str, int],
        layouts: Mapping[str, Layout],
        header: str,
        splits_widths: bool = False,
    ) -> TritonSource:
        """Triton kernels for a plan, for given dtypes, widths and layouts."""
        statements, graph = self.statements(plan), self.meaning.graph
        return write_module(graph, statements, self.roles, compute, widths, layouts, header, splits_widths)

    def width_sizes(self) -> list[str]:
        """Names of the sizes that are compiled in, and ("parameter …") of the parameters that set a width."""
        found: dict[str, None] = {}
        for declared in self.meaning.inputs:
            for size in declared.tensor.sizes:
                if size.kind == "size" and self.roles.of_size(size) == WIDTH:
                    found[size.attribute] = None
        for name in self._width_parameters():
            found["parameter " + name] = None
        return list(found)

    def _width_parameters(self) -> list[str]:
        from .ir.node import walk

        found: dict[str, None] = {}
        for root in self.meaning.roots:
            for node in walk(root):
                for axis in (*node.axes, *node.bound):
                    if self.roles.of(axis) == WIDTH:
                        found |= {part.attribute: None for part in walk(axis.size) if part.kind == "param"}
        return list(found)


@dataclass(frozen=True)
class Gradient:
    """Targets that make the gradients, what they read of the forward, and inputs whose gradient is 0 everywhere."""

    targets: tuple[Target, ...]
    kept: tuple[Saved, ...]
    missing: tuple[str, ...]
    cotangents: tuple[Tensor, ...]


__all__ = ["AttnError", "Derivation", "Gradient", "Output"]
