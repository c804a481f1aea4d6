"""What can be wrong in a call: one class for each kind of mistake, in terms of the spec's clauses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from attnc.diagnostics import Diagnostic, Label, Mistake, Span

_DTYPES = {"float": "float32, float64, bfloat16 or float16", "int": "integers", "bool": "bool"}
_CONVERSIONS = {"float": "float()", "int": "long()", "bool": "bool()"}


@dataclass(frozen=True)
class CallMistake(Mistake):
    """What all of them have: the name of the attention that is called."""

    attention: str


# --- which arguments there are -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MissingInput(CallMistake):
    """`declared` are the inputs as their clauses have them, `signature` how the attention is called."""

    code: ClassVar[str] = "missing-input"
    declared: tuple[str, ...]
    signature: str

    def diagnostic(self) -> Diagnostic:
        *others, last = (f"'{text}'" for text in self.declared)
        inputs = f"inputs {', '.join(others)} and {last}" if others else f"input {last}"
        title = f"'{self.attention}' needs the {inputs}"
        return Diagnostic(self.code, title, (), f"it is called as '{self.signature}'")


@dataclass(frozen=True)
class MissingParameter(CallMistake):
    code: ClassVar[str] = "missing-parameter"
    name: str
    type: str
    signature: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' needs the parameter '{self.name}: {self.type}'"
        return Diagnostic(self.code, title, (), f"it is called as '{self.signature}'")


@dataclass(frozen=True)
class UnknownArgument(CallMistake):
    code: ClassVar[str] = "unknown-argument"
    name: str
    near: str | None
    signature: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' has no input or parameter '{self.name}'"
        helps = (f"did you mean '{self.near}'?",) if self.near else ()
        return Diagnostic(self.code, title, (), f"it is called as '{self.signature}'", helps)


@dataclass(frozen=True)
class GivenTwice(CallMistake):
    code: ClassVar[str] = "given-twice"
    name: str

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(self.code, f"'{self.name}' of '{self.attention}' is given by position and by keyword")


@dataclass(frozen=True)
class TooManyArguments(CallMistake):
    code: ClassVar[str] = "too-many-arguments"
    inputs: tuple[str, ...]
    found: int
    parameter: str | None

    def diagnostic(self) -> Diagnostic:
        count = f"{len(self.inputs)} tensor{'' if len(self.inputs) == 1 else 's'}"
        title = f"'{self.attention}' takes {count} ({', '.join(self.inputs)}), but {self.found} are given by position"
        helps = (f"parameters go by keyword: '{self.parameter}=…'",) if self.parameter else ()
        return Diagnostic(self.code, title, (), None, helps)


@dataclass(frozen=True)
class WrongParameter(CallMistake):
    """`problem` goes on after the parameter's name; `place` is where the spec declares it."""

    code: ClassVar[str] = "wrong-parameter"
    name: str
    problem: str
    place: Span | None = None
    help: str | None = None

    def diagnostic(self) -> Diagnostic:
        labels = (Label(self.place, "declared here"),) if self.place is not None else ()
        title = f"'{self.name}' of '{self.attention}' {self.problem}"
        return Diagnostic(self.code, title, labels, None, (self.help,) if self.help else ())


# --- what a tensor is ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TensorMistake(CallMistake):
    """An input that is not what its clause says: `declared` in words, `place` where; None for a default input."""

    name: str
    declared: str
    place: Span | None

    def of_it(self, problem: str, *helps: str) -> Diagnostic:
        title = f"'{self.name}' of '{self.attention}' {problem}"
        if self.place is None:
            note = f"undeclared, '{self.name}' means '{self.declared}'"
            return Diagnostic(self.code, title, (), note, helps)
        return Diagnostic(self.code, title, (Label(self.place, "declared here"),), None, helps)


@dataclass(frozen=True)
class NotATensor(TensorMistake):
    code: ClassVar[str] = "not-a-tensor"
    found: str

    def diagnostic(self) -> Diagnostic:
        helps = (f"convert it: 'torch.as_tensor({self.name})'",) if self.found == "a ndarray" else ()
        return self.of_it(f"must be a tensor, not {self.found}", *helps)


@dataclass(frozen=True)
class WrongDtype(TensorMistake):
    code: ClassVar[str] = "wrong-dtype"
    found: str
    type: str

    def diagnostic(self) -> Diagnostic:
        converts = not self.found.startswith("complex") and not self.found.startswith("q")
        helps = (f"convert it: '{self.name}.{_CONVERSIONS[self.type]}'",) if converts else ()
        return self.of_it(f"is {self.found}, but must be {_DTYPES[self.type]}", *helps)


@dataclass(frozen=True)
class WrongLayout(TensorMistake):
    """`layout` in torch's words, `remedy` the method that gives a plain tensor."""

    code: ClassVar[str] = "wrong-layout"
    layout: str
    remedy: str

    def diagnostic(self) -> Diagnostic:
        problem = f"is {self.layout}, but kernels read plain tensors (any strides)"
        return self.of_it(problem, f"convert it: '{self.name}.{self.remedy}'")


@dataclass(frozen=True)
class WrongDevice(TensorMistake):
    """A device without kernels, or (`other`, with its device) another one than that of the first input."""

    code: ClassVar[str] = "wrong-device"
    device: str
    other: tuple[str, str] | None = None

    def diagnostic(self) -> Diagnostic:
        if self.other is not None:
            name, device = self.other
            problem = f"lies on '{self.device}', but '{name}' on '{device}'"
            return self.of_it(problem, f"move it: '{self.name}.to({name}.device)'")
        helps = () if self.device == "meta" else (f"move it: '{self.name}.cpu()'",)
        return self.of_it(f"lies on '{self.device}'; there are kernels for the CPU and for CUDA and ROCm GPUs", *helps)


@dataclass(frozen=True)
class NotOnGpu(TensorMistake):
    """A dtype that only the CPU's kernels compute with."""

    code: ClassVar[str] = "not-on-gpu"
    dtype: str

    def diagnostic(self) -> Diagnostic:
        return self.of_it(
            f"is {self.dtype}, which kernels on GPUs do not compute with", f"convert it: '{self.name}.float()'"
        )


@dataclass(frozen=True)
class WrongRank(TensorMistake):
    code: ClassVar[str] = "wrong-rank"
    shape: tuple[int, ...]
    rank: int

    def diagnostic(self) -> Diagnostic:
        axes = f"{len(self.shape)} {'axis' if len(self.shape) == 1 else 'axes'} {list(self.shape)}"
        return self.of_it(f"has {axes}, but is declared with {self.rank or 'none'}")


@dataclass(frozen=True)
class WrongSize(TensorMistake):
    """The axis is counted from 1; `size` is what the clause has there."""

    code: ClassVar[str] = "wrong-size"
    axis: int
    found: int
    size: str
    wanted: int

    def diagnostic(self) -> Diagnostic:
        if self.size == str(self.wanted):
            return self.of_it(f"has size {self.found} on axis {self.axis}, but must have {self.wanted}")
        return self.of_it(f"has size {self.found} on axis {self.axis}, but '{self.size}' is {self.wanted}")


# --- how sizes hang together ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SizesDiffer(CallMistake):
    """Two inputs tell different values of one size; the places are those of the size in their clauses."""

    code: ClassVar[str] = "sizes-differ"
    size: str
    first: str
    first_value: int
    second: str
    second_value: int
    places: tuple[Span | None, Span | None] = (None, None)

    def diagnostic(self) -> Diagnostic:
        values = f"{self.first_value} in '{self.first}' but {self.second_value} in '{self.second}'"
        title = f"'{self.size}' is {values} in this call of '{self.attention}'"
        found = ((self.places[1], self.second_value), (self.places[0], self.first_value))
        labels = tuple(Label(place, f"this is {value}") for place, value in found if place is not None)
        helps: tuple[str, ...] = ()
        if 1 in (self.first_value, self.second_value):
            narrow = self.second if self.second_value == 1 else self.first
            helps = (f"sizes of 1 are not stretched: call '{narrow}.expand(…)'",)
        return Diagnostic(self.code, title, labels, None, helps)


@dataclass(frozen=True)
class SizeTooLarge(CallMistake):
    code: ClassVar[str] = "size-too-large"
    size: str
    value: int
    limit: int

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.size}' is {self.value} in this call of '{self.attention}'"
        return Diagnostic(self.code, title, (), f"kernels count to {self.limit} at most")


@dataclass(frozen=True)
class GroupsDoNotDivide(CallMistake):
    code: ClassVar[str] = "groups-do-not-divide"
    heads: int
    groups: int

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' gets {self.groups} key/value heads (G), which do not divide {self.heads} heads (H)"
        return Diagnostic(self.code, title, (), "each key/value head serves H // G heads")


@dataclass(frozen=True)
class DivisionNotExact(CallMistake):
    """`text` is a division in a size, `place` where it stands."""

    code: ClassVar[str] = "division-not-exact"
    text: str
    top: int
    bottom: int
    place: Span | None

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.text}' is not whole in this call of '{self.attention}'"
        labels = (Label(self.place, "sizes are whole"),) if self.place is not None else ()
        fact = f"{self.top} is not divisible by {self.bottom}"
        sides = self.text.split(" // ")
        helps = (f"round up: 'ceildiv({sides[0]}, {sides[1]})'",) if len(sides) == 2 and self.bottom else ()
        return Diagnostic(self.code, title, labels, fact, helps)


@dataclass(frozen=True)
class RequirementFails(CallMistake):
    """A `require` that does not hold for this call; `values` are what it is about."""

    code: ClassVar[str] = "requirement-fails"
    text: str
    values: tuple[tuple[str, object], ...]
    place: Span | None

    def diagnostic(self) -> Diagnostic:
        known = ", ".join(f"{name} = {value}" for name, value in self.values)
        title = f"this call of '{self.attention}' breaks 'require {self.text}'"
        labels = (Label(self.place, "does not hold"),) if self.place is not None else ()
        return Diagnostic(self.code, title, labels, f"here {known}" if known else None)


# --- running -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CannotBeCompiled(CallMistake):
    """A spec that the compiler's own checks stop at: its fault, not the spec's."""

    code: ClassVar[str] = "cannot-be-compiled"
    reason: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' cannot be compiled: {self.reason or 'a check of the compiler failed'}"
        note = "this is a limit or a fault of attnc, not a mistake in the spec; please report it"
        return Diagnostic(self.code, title, (), note, ("compute it densely: 'attention.reference(…)'",))


@contextmanager
def compiling(attention: str) -> Iterator[None]:
    """Where the compiler stops at a check of its own, the user is told of the spec."""
    try:
        yield
    except AssertionError as error:
        raise CannotBeCompiled(attention, str(error)).error() from error


@dataclass(frozen=True)
class SecondOrder(CallMistake):
    code: ClassVar[str] = "second-order"

    def diagnostic(self) -> Diagnostic:
        title = (
            f"'{self.attention}' is differentiated once only in a recorded program, and where no kernel can be built"
        )
        return Diagnostic(self.code, title, (), None, (f"differentiate '{self.attention}.reference(…)' twice instead",))


@dataclass(frozen=True)
class ForwardMode(CallMistake):
    """Tangents would be lost without a word."""

    code: ClassVar[str] = "forward-mode"

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' has no derivative in forward mode (dual tensors, jvp) in a recorded program"
        return Diagnostic(self.code, title, (), None, (f"call '{self.attention}.reference(…)', or use backward()",))


@dataclass(frozen=True)
class OutOfMemory(CallMistake):
    """`making` lists the results as `name[shape]`."""

    code: ClassVar[str] = "out-of-memory"
    making: tuple[str, ...]

    def diagnostic(self) -> Diagnostic:
        title = f"there is not enough memory for what '{self.attention}' computes with"
        return Diagnostic(self.code, title, (), f"making {', '.join(self.making)}")


@dataclass(frozen=True)
class NoData(CallMistake):
    """Tensors that stand for others: there is nothing at their address."""

    code: ClassVar[str] = "no-data"

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' cannot compute with tensors that hold no data"
        fact = "inside FakeTensorMode and the transforms of torch.func, tensors only stand for others"
        return Diagnostic(self.code, title, (), fact, (f"call '{self.attention}.reference(…)' there",))


@dataclass(frozen=True)
class NoTriton(CallMistake):
    """A GPU without the compiler for it. `fact` is what importing it said."""

    code: ClassVar[str] = "no-triton"
    fact: str

    def diagnostic(self) -> Diagnostic:
        title = f"'{self.attention}' needs Triton to run on a GPU"
        return Diagnostic(self.code, title, (), self.fact, ("install it: 'pip install triton'",))


@dataclass(frozen=True)
class WrongOnDevice(CallMistake):
    """A kernel whose first small problem came out wrong on this device."""

    code: ClassVar[str] = "wrong-on-device"
    device: str
    versions: str
    what: str

    def diagnostic(self) -> Diagnostic:
        title = f"the kernels of '{self.attention}' compute wrongly on '{self.device}'"
        fact = f"{self.what}, with {self.versions}: most likely a fault of that compiler"
        return Diagnostic(self.code, title, (), fact, ("try another version of Triton",))
