"""What the interpreter's process does: bfloat16 as hardware has it, and calls measured against the dense meaning."""

import numpy as np
import torch

_DONE = []


def mend_interpreter():
    """Triton's interpreter keeps bfloat16 as bit patterns, multiplies these, and cuts digits off where hardware rounds:
    products are taken in float32, and conversions round to nearest, ties to even."""
    import triton.language as tl
    from triton.runtime import interpreter

    if _DONE:
        return
    _DONE.append(True)
    builder, handle = interpreter.InterpreterBuilder, interpreter.TensorHandle
    dot, cast = builder.create_dot, builder.cast_impl
    floats = {tl.float16: np.float16, tl.float32: np.float32, tl.float64: np.float64}

    def widened(value):
        if value.dtype.scalar != tl.bfloat16:
            return value.data
        return (np.asarray(value.data).astype(np.uint32) << 16).view(np.float32)

    def narrowed(data):
        bits = np.ascontiguousarray(data, np.float32).view(np.uint32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return np.where(np.isnan(data), 0x7FC0, rounded).astype(np.uint16)

    def create_dot(self, a, b, added, *rest):
        if tl.bfloat16 not in (a.dtype.scalar, b.dtype.scalar):
            return dot(self, a, b, added, *rest)
        product = np.matmul(widened(a), widened(b), dtype=added.data.dtype)
        return handle(product + added.data, added.dtype.scalar)

    def cast_impl(self, value, wanted):
        source, target = value.dtype.scalar, wanted.scalar
        if target == tl.bfloat16 and source in floats:
            return handle(narrowed(value.data.astype(np.float32)), target)
        if source == tl.bfloat16 and target in floats:
            return handle(widened(value).astype(floats[target]), target)
        return cast(self, value, wanted)

    def compared(compare):
        """A condition is one, though Triton's interpreter calls it what was compared: a single float condition would be
        spread over a tile as floats."""

        def call(self, left, right):
            return handle(compare(self, left, right).data, tl.int1)

        return call

    for name in [name for name in vars(builder) if name.startswith(("create_fcmp", "create_icmp"))]:
        setattr(builder, name, compared(getattr(builder, name)))
    builder.create_dot = create_dot
    builder.cast_impl = builder.create_fp_trunc = builder.create_fp_ext = cast_impl


def measured(name, dtype, sizes=None, seed=0):
    """The errors of an attention of the corpus as (name, is good, worst, allowed, note)."""
    from tests.corpus import attentions, draw

    return errors_of(attentions()[name], lambda a: draw(a, sizes, getattr(torch, dtype), seed))


def measured_random(text, sizes):
    """The same for a random spec; a code where it is refused."""
    import attnc
    from tests.random_specs.generator import draw_tensors

    attention = attnc.loads(text)
    try:
        return errors_of(attention, lambda a: draw_tensors(a.card(), sizes))
    except attnc.AttnError as error:
        return error.code


def errors_of(attention, drawn, parameters=None):
    from attnc.runtime.verify import measure

    mend_interpreter()
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    found = measure(attention, drawn(attention), parameters or {})
    return [(e.name, e.is_good, e.worst, e.allowed, e.note) for e in found]


def measured_sorted(name, dtype):
    """The same for an attention whose tokens are sorted, however few there are."""
    import attnc
    from attnc.runtime import token_orders
    from tests.corpus import attentions, draw

    before = token_orders.LEAST_TOKENS, token_orders._GAIN
    token_orders.LEAST_TOKENS, token_orders._GAIN = 1, float("inf")
    try:
        attention = attnc.loads(attentions()[name].text)  # which remembers no call in another order
        found = errors_of(attention, lambda a: draw(a, {"B": 1, "H": 2, "G": 1}, getattr(torch, dtype), 0))
        situations = attention.__dict__["_caller"].remembered.values()
        assert {type(one.forward).__name__ for one in situations} == {"Reordered"}
    finally:
        token_orders.LEAST_TOKENS, token_orders._GAIN = before
    return found


def second_derivatives(text):
    """How far gradients, the gradients of their squares and a tangent are from those of the dense meaning, relative to
    their size."""
    import attnc

    attention = attnc.loads(text)
    mend_interpreter()
    random = torch.Generator().manual_seed(0)
    given = [torch.randn(1, 2, 19, 16, generator=random).requires_grad_() for _ in range(3)]
    found, wanted = (_derivatives(call, given) for call in (attention, attention.reference))
    return [float((a - b).norm() / b.norm()) for a, b in zip(found, wanted, strict=True)]


def _derivatives(call, given):
    out = call(*given)
    first = torch.autograd.grad((out * out).sum(), given, create_graph=True)
    second = torch.autograd.grad(sum((x * x).sum() for x in first), given)
    plain = tuple(tensor.detach() for tensor in given)
    _, tangent = torch.func.jvp(call, plain, tuple(tensor.cos() for tensor in plain))
    return [*first, *second, tangent]


def scan_errors(text, extra, length=75, learns=False):
    """How far an attention of one tensor for each of q, k, v (and `extra`) is from its dense meaning in float64; where
    it learns, how far its gradients are, relative to their size."""
    import attnc

    mend_interpreter()
    random = torch.Generator().manual_seed(0)
    shapes = {"q": (1, 2, length, 16), "k": (1, 1, length, 16), "v": (1, 1, length, 16), **extra}
    given = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
    wide = {name: tensor.double().requires_grad_(learns) for name, tensor in given.items()}
    given = {name: tensor.requires_grad_(learns) for name, tensor in given.items()}
    attention = attnc.loads(text)
    found, wanted = attention(**given), attention.reference(**wide)
    if not learns:
        return float((found - wanted).abs().max())
    weights = torch.randn(wanted.shape, generator=random)
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    pairs = [(mine.grad, wide[name].grad) for name, mine in given.items()]
    return max(float((mine - exact).abs().max() / exact.abs().max()) for mine, exact in pairs)


def searched_without_asking(text, shapes):
    """The results of a search, and of one whose steps may not ask whether any moves, as when a graph is captured."""
    import attnc
    from attnc.runtime.triton import prepared

    mend_interpreter()
    random = torch.Generator().manual_seed(0)
    given = [torch.randn(shape, generator=random) for shape in shapes]
    attention, asks = attnc.loads(text), prepared.is_still
    found = attention(*given)
    asked: list[bool] = []
    prepared.is_still = lambda moving: bool(asked.append(True))
    try:
        return found.tolist(), attention(*given).tolist(), len(asked)
    finally:
        prepared.is_still = asks
