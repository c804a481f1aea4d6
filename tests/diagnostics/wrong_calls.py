"""Calls that contradict their spec, by code and case: each is one mistake, and its message a golden."""

import math

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

import attnc
from attnc.runtime.masks import draw_masks
from attnc.runtime.operators import call_as_operation

B, H, G, N, D, E = 2, 4, 2, 6, 8, 5

SLIDING = attnc.loads(
    '''"""Sliding window inside documents, with a slope for each head."""
attention sliding(window: int = 4, cap: float = 50.0, side: "left" | "both" = "left", wide: bool = False)
input     slope[H], doc[B, N]: int, keep[B, N]: bool, gain: float
axis      i, j: N
require   N % 2 == 0, window > 0
score     s = gain * softcap(q[i] @ k[j] / sqrt(D), cap) - slope[h] * (i - j)
mask      i - j < window and doc[i] == doc[j] and (keep[j] or wide)
mask      j <= i or side == "both"
''',
    "sliding.attn",
)
BLOCKS = attnc.loads(
    """attention blocks(block: int)
input     weight[B, N // block], table[block, 3]
axis      i, j: N
axis      r: block
score     s = q[i] @ k[j] + weight[j // block] * table[j % block, 1]
""",
    "blocks.attn",
)
TREE = attnc.loads(
    """attention tree
input     parent[B, N]: int, scale[H]
axis      i, j, x: N
require   all[x](parent[x] > x)
require   scale[h] > 0
score     s = scale[h] * (q[i] @ k[j])
mask      j <= parent[i]
""",
    "tree.attn",
)
WEIGHTS = attnc.loads("attention weights\noutput    p\n", "weights.attn")


def numbers(*shape):
    return torch.ones(shape)


def documents():
    return torch.zeros(B, N, dtype=torch.int64)


class OnGpu(torch.Tensor):
    """A tensor that says it lies on a GPU, where there may be none."""

    is_cpu = False
    is_cuda = True
    device = torch.device("cuda", 0)


def tensors():
    return {
        "q": numbers(B, H, N, D), "k": numbers(B, G, N, D), "v": numbers(B, G, N, E), "slope": numbers(H),
        "doc": documents(), "keep": documents() == 0, "gain": torch.ones(()),
    }  # fmt: skip


def sliding(**changed):
    """A right call of `sliding` but for what is given; `...` leaves an argument out."""
    arguments = {name: value for name, value in {**tensors(), **changed}.items() if value is not ...}
    return SLIDING(**arguments)


def sliding_on_gpu(**changed):
    """The same with tensors on a GPU."""
    return sliding(**{name: tensor.as_subclass(OnGpu) for name, tensor in tensors().items()} | changed)


def blocks(n, block, weight, table=3):
    return BLOCKS(
        numbers(B, H, n, D), numbers(B, G, n, D), numbers(B, G, n, E), numbers(B, weight), numbers(block, table),
        block=block,
    )  # fmt: skip


def tree(parent, scale):
    q = numbers(B, H, N, D)
    return TREE(q, numbers(B, G, N, D), numbers(B, G, N, E), parent, scale)


def parents(last=N):
    """Each position's parent is the next one; the last of the second batch entry's may be told."""
    parent = torch.arange(1, N + 1).repeat(B, 1)
    parent[1, -1] = last
    return parent


def twice_differentiated():
    q = numbers(1, 1, 3, D).requires_grad_()
    p = call_as_operation(WEIGHTS, (q, numbers(1, 1, 3, D)), {})
    (once,) = torch.autograd.grad(p.square().sum(), q, create_graph=True)
    torch.autograd.grad(once.sum(), q)


def dual_numbers():
    with forward_ad.dual_level():
        q = forward_ad.make_dual(numbers(1, 1, 3, D), numbers(1, 1, 3, D))
        call_as_operation(WEIGHTS, (q, numbers(1, 1, 3, D)), {})


def without_data():
    with FakeTensorMode():
        WEIGHTS(numbers(1, 1, 3, D), numbers(1, 1, 3, D))


def recorded():
    """A program is recorded for shapes alone."""
    with FakeTensorMode():
        call_as_operation(RAGGED, (numbers(1, 1, 3, D), torch.ones(3, dtype=torch.int64)), {})


def too_many_weights():
    long = numbers(1, 1, 1, D).expand(1, 1, 1 << 30, D)
    WEIGHTS(long, long)


CHOSEN = attnc.loads("attention chosen axis i, j: N mask topk[j](q[i] @ k[j], 4)")
WINDOWS = attnc.loads("attention windows axis i, j: N input w[H]: int mask abs(i - j) <= w[h]")
RAGGED = attnc.loads(
    "attention ragged input n[M]: int axis t: n[i] output x[i] = sum[t](1.0 * t) * q[i]", "ragged.attn"
)
NORMALIZED = attnc.loads("attention normalized normalize p = standardize[j](s)")

CASES = {
    "missing-input/one": lambda: sliding(slope=...),
    "missing-input/default": lambda: sliding(k=...),
    "missing-input/several": lambda: SLIDING(),
    "missing-parameter/int": lambda: BLOCKS(*[numbers(1)] * 5),
    "unknown-argument/near": lambda: sliding(windw=3),
    "unknown-argument/nothing_near": lambda: sliding(attn_mask=None),
    "given-twice/input": lambda: WEIGHTS(numbers(1, 1, 3, D), numbers(1, 1, 3, D), q=None),
    "too-many-arguments/parameter": lambda: SLIDING(*[None] * 8),
    "too-many-arguments/no_parameters": lambda: WEIGHTS(1, 2, 3),
    "wrong-parameter/float_for_int": lambda: sliding(window=2.5),
    "wrong-parameter/bool_for_int": lambda: sliding(window=True),
    "wrong-parameter/text_for_int": lambda: sliding(window="4"),
    "wrong-parameter/none_for_int": lambda: sliding(window=None),
    "wrong-parameter/tensor_for_int": lambda: sliding(window=torch.tensor(4)),
    "wrong-parameter/int_too_large": lambda: sliding(window=1 << 62),
    "wrong-parameter/tensor_for_float": lambda: sliding(cap=torch.tensor(50.0)),
    "wrong-parameter/complex_for_float": lambda: sliding(cap=1j),
    "wrong-parameter/nan": lambda: sliding(cap=math.nan),
    "wrong-parameter/float_too_large": lambda: sliding(cap=10**400),
    "wrong-parameter/int_for_bool": lambda: sliding(wide=1),
    "wrong-parameter/mode": lambda: sliding(side="lefft"),
    "wrong-parameter/mode_number": lambda: sliding(side=1),
    "wrong-parameter/mode_list": lambda: sliding(side=["left"]),
    "not-a-tensor/list": lambda: sliding(doc=[0] * N),
    "not-a-tensor/number": lambda: sliding(gain=1.0),
    "not-a-tensor/none": lambda: sliding(q=None),
    "not-a-tensor/numpy": lambda: sliding(slope=numbers(H).numpy()),
    "wrong-dtype/int_for_float": lambda: sliding(slope=torch.ones(H, dtype=torch.int64)),
    "wrong-dtype/float_for_int": lambda: sliding(doc=documents().double()),
    "wrong-dtype/bool_for_int": lambda: sliding(doc=documents() == 0),
    "wrong-dtype/unsigned_for_int": lambda: sliding(doc=documents().to(torch.uint16)),
    "wrong-dtype/int_for_bool": lambda: sliding(keep=documents()),
    "wrong-dtype/float8": lambda: sliding(q=numbers(B, H, N, D).to(torch.float8_e4m3fn)),
    "wrong-dtype/complex": lambda: sliding(gain=torch.ones((), dtype=torch.complex64)),
    "wrong-layout/sparse": lambda: sliding(slope=numbers(H).to_sparse()),
    "wrong-layout/mkldnn": lambda: sliding(slope=numbers(H).to_mkldnn()),
    "wrong-layout/nested": lambda: sliding(q=torch.nested.nested_tensor([numbers(H, N, D), numbers(H, 2, D)])),
    "wrong-layout/negated": lambda: sliding(slope=torch._neg_view(numbers(H))),
    "wrong-device/meta": lambda: sliding(slope=numbers(H).to("meta")),
    "wrong-device/other": lambda: sliding_on_gpu(slope=numbers(H)),
    "not-on-gpu/default": lambda: sliding_on_gpu(q=numbers(B, H, N, D).double().as_subclass(OnGpu)),
    "not-on-gpu/declared": lambda: sliding_on_gpu(slope=numbers(H).double().as_subclass(OnGpu)),
    "wrong-rank/declared": lambda: sliding(slope=numbers(H, 1)),
    "wrong-rank/default": lambda: sliding(q=numbers(H, N, D)),
    "wrong-rank/one_number": lambda: sliding(gain=numbers(1)),
    "wrong-rank/no_axes": lambda: sliding(slope=torch.ones(())),
    "wrong-size/computed": lambda: blocks(N, 2, weight=2),
    "wrong-size/number": lambda: blocks(N, 2, weight=3, table=4),
    "sizes-differ/default": lambda: sliding(k=numbers(B, G, N, D + 1)),
    "sizes-differ/declared": lambda: sliding(slope=numbers(H + 1)),
    "sizes-differ/one": lambda: sliding(slope=numbers(1)),
    "sizes-differ/both_declared": lambda: SLIDING(
        numbers(B, H, N, D), numbers(B, G, N, D), numbers(B, G, N, E), numbers(H), documents()[:, :4],
        documents() == 0, torch.ones(()),
    ),
    "size-too-large/keys": lambda: WEIGHTS(numbers(1, 1, 1, D), numbers(1, 1, 1, D).expand(1, 1, (1 << 30) + 1, D)),
    "groups-do-not-divide/three": lambda: sliding(k=numbers(B, 3, N, D), v=numbers(B, 3, N, E)),
    "groups-do-not-divide/none": lambda: sliding(k=numbers(B, 0, N, D), v=numbers(B, 0, N, E)),
    "division-not-exact/size": lambda: blocks(7, 2, weight=3),
    "division-not-exact/by_zero": lambda: blocks(N, 0, weight=3),
    "requirement-fails/size": lambda: sliding(
        q=numbers(B, H, 5, D), k=numbers(B, G, 5, D), v=numbers(B, G, 5, E), doc=documents()[:, 1:],
        keep=documents()[:, 1:] == 0,
    ),
    "requirement-fails/parameter": lambda: sliding(window=-1),
    "requirement-fails/tensor": lambda: tree(parents(last=0), numbers(H)),
    "requirement-fails/head": lambda: tree(parents(), torch.arange(3.0, 3 - H, -1)),
    "requirement-fails/reference": lambda: TREE.reference(*(numbers(B, H, N, D),) * 3, parents(last=0), numbers(H)),
    "not-differentiable/gradient": lambda: SLIDING.gradient(("q", "slop")),
    "not-differentiable/integer": lambda: SLIDING.tangent(("doc",)),
    "not-differentiable/nothing": lambda: SLIDING.gradient(()),
    "not-mergeable/one_size": lambda: SLIDING.partial(),
    "not-mergeable/two_passes": lambda: NORMALIZED.partial(),
    "not-drawn/computed": lambda: draw_masks(CHOSEN, (numbers(B, H, N, D),) * 3, {}, 0, 0),
    "not-drawn/no_head": lambda: draw_masks(WINDOWS, (*(numbers(B, H, N, D),) * 3, torch.ones(H).long()), {}, 0, H),
    "second-order/create_graph": twice_differentiated,
    "forward-mode/dual": dual_numbers,
    "no-data/fake": without_data,
    "not-recorded/ragged": recorded,
    "out-of-memory/weights": too_many_weights,
}  # fmt: skip
NEED_KERNELS = ("second-order", "forward-mode", "no-data", "out-of-memory")
