"""The masks of examples/masks: each against a dense softmax whose mask is told pair by pair, in the plainest way."""

import functools
import inspect
import itertools
import math
import re
from dataclasses import dataclass

import pytest
import torch

import attnc

from .kernels import FOLDER

MASKS = FOLDER / "masks"
B, H, D = 2, 4, 8
CASES = {}  # the name of a file: its cases


@dataclass(frozen=True)
class Case:
    """A call of one mask. `seen(b, h, i, j, **inputs, **parameters)` tells whether query i sees key j.

    It may ask for the numbers of `queries` and `keys` too."""

    seen: object
    queries: int
    keys: int
    inputs: dict
    parameters: dict

    def mask(self):
        given = {name: tensor.tolist() for name, tensor in self.inputs.items()} | self.parameters
        sizes = {"queries": self.queries, "keys": self.keys}
        given |= {name: sizes[name] for name in inspect.signature(self.seen).parameters if name in sizes}
        places = itertools.product(range(B), range(H), range(self.queries), range(self.keys))
        pairs = [bool(self.seen(*place, **given)) for place in places]
        return torch.tensor(pairs).view(B, H, self.queries, self.keys)


def case(keys=75, queries=None, inputs=None, **parameters):
    """Adds a case to the file that has the function's name."""

    def add(seen):
        CASES.setdefault(seen.__name__, []).append(Case(seen, queries or keys, keys, inputs or {}, parameters))
        return seen

    return add


def generator():
    return torch.Generator().manual_seed(5)


def integers(low, high, *shape):
    return torch.randint(low, high, shape, generator=generator())


def some(share, *shape):
    return torch.rand(shape, generator=generator()) < share


def documents_of(length):
    """Documents of many lengths one behind the other, with padding at the end."""
    docs = some(0.08, B, length).long().cumsum(-1)
    docs[:, -7:] = -1
    return docs


@functools.cache
def around(position, length, window, dilation=1):
    """Of every `dilation`-th position, the run of `window` whose middle is nearest to one of them."""
    line = range(position % dilation, length, dilation)
    runs = [line[start : start + window] for start in range(max(len(line) - window, 0) + 1)]
    return min(runs, key=lambda run: abs(line.index(run[0]) + window // 2 - line.index(position)))


# One sequence


@case()
@case(queries=31)
@case(queries=75, keys=31)
def causal(b, h, i, j, queries, keys):
    return keys - j >= queries - i


@case(window=5)
@case(window=200)
def sliding(b, h, i, j, window):
    return j in range(i - window + 1, i + 1)


@case(window=9, sinks=3)
def sliding_sinks(b, h, i, j, window, sinks):
    return j in range(i - window + 1, i + 1) or j in range(min(sinks, i + 1))


@case(window=5, step=3)
def dilated(b, h, i, j, window, step):
    return j in [i - step * n for n in range(window)]


@case(stride=8)
def strided(b, h, i, j, stride):
    return j in range(i - stride + 1, i + 1) or j in range(i, -1, -stride)


@case(inputs={"prefix": torch.tensor([0, 20])})
def prefix_lm(b, h, i, j, prefix):
    return j < prefix[b] or j <= i


@case(inputs={"doc": documents_of(75)})
def documents(b, h, i, j, doc):
    return doc[b][j] != -1 and doc[b][i] == doc[b][j]


@case(inputs={"doc": documents_of(75)}, window=6)
def documents_causal_window(b, h, i, j, doc, window):
    return doc[b][j] != -1 and doc[b][i] == doc[b][j] and j in range(i - window + 1, i + 1)


@case(inputs={"doc": documents_of(75), "prefix": torch.tensor([4, 17])})
def shared_prefix(b, h, i, j, doc, prefix):
    common = j < prefix[b]
    return (common or doc[b][i] == doc[b][j]) and j <= i


@case(block=8)
@case(block=200)
def block_diffusion(b, h, i, j, block):
    end = block
    while end <= i:
        end += block
    return j < end


@case(chunk=16)
def chunked(b, h, i, j, chunk):
    return j in range(i - i % chunk, i + 1)


@case(inputs={"marked": some(0.05, B, 75)}, window=10)
def longformer(b, h, i, j, marked, window):
    return marked[b][i] or marked[b][j] or j in range(i - window // 2, i + window // 2 + 1)


@case(inputs={"there": integers(0, 10, B, H, 10, 2)}, block=8, beside=1, first=1)
@case(inputs={"there": integers(0, 10, B, H, 10, 2)}, block=8, beside=0, first=0)
def big_bird(b, h, i, j, there, block, beside, first):
    row, column = i // block, j // block
    if row < first:
        return True
    return column in [*range(first), *range(row - beside, row + beside + 1), *there[b][h][row]]


@case(inputs={"dense": torch.tensor([True, False, False, True])}, window=9, sinks=3)
def head_mixture(b, h, i, j, dense, window, sinks):
    if dense[h]:
        return j <= i
    return sliding_sinks(b, h, i, j, window, sinks)


@case(segment=16, rate=3)
@case(segment=75, rate=1)
def longnet(b, h, i, j, segment, rate):
    begin = i // segment * segment
    taken = range(begin + h % rate, begin + segment, rate)
    return i in taken and j in taken and j <= i


# 27 drafts after 13 keys of the past; each one's parent is an earlier one, the first is a root
PARENTS = [None, *(int(share * n) for n, share in enumerate(torch.rand(26, generator=generator()).tolist(), 1))]


def line_of(draft):
    """A draft and its ancestors."""
    return [] if draft is None else [draft, *line_of(PARENTS[draft])]


def ancestors():
    table = torch.zeros(B, 27, 27, dtype=torch.bool)
    for draft in range(27):
        table[:, draft, line_of(draft)] = True
    return table


@case(queries=27, keys=40, inputs={"ancestor": ancestors()})
@case(queries=27, keys=27, inputs={"ancestor": ancestors()})
def tree(b, h, i, j, keys, ancestor):
    past = keys - 27
    return j < past or j - past in line_of(i)


# Pictures of 5 x 9, row by row


def at(i, width=9):
    return divmod(i, width)


@case(keys=45, grid_width=9)
def axial_rows(b, h, i, j, grid_width):
    return at(i)[0] == at(j)[0]


@case(keys=45, grid_width=9)
def axial_columns(b, h, i, j, grid_width):
    return at(i)[1] == at(j)[1]


@case(keys=45, grid_width=9, window=4)
def windowed(b, h, i, j, grid_width, window):
    return all(a // window == c // window for a, c in zip(at(i), at(j), strict=True))


@case(keys=45, grid_width=9, window=4, shift=2)
@case(keys=45, grid_width=9, window=3, shift=1)
@case(keys=45, grid_width=9, window=4, shift=0)
def shifted_windowed(b, h, i, j, grid_width, window, shift):
    """Padded, turned cyclically, cut into windows, with regions: as the paper's program does it."""

    def cell(position, length):
        padded = -(-length // window) * window
        turned = (position - shift) % padded
        region = 0 if turned < padded - window else 1 if turned < padded - shift else 2
        return turned // window, region

    return all(cell(a, n) == cell(c, n) for a, c, n in zip(at(i), at(j), (5, 9), strict=True))


@case(keys=54, grid_width=9, cells=3)
def grid_maxvit(b, h, i, j, grid_width, cells):
    """6 x 9: every second row, every third column."""
    (y, x), grid = at(i), torch.arange(54).view(6, 9)
    return j in grid[y % 2 :: 2, x % 3 :: 3].flatten().tolist()


@case(window=5, dilation=1)
@case(window=4, dilation=1)
@case(window=7, dilation=4)
@case(window=100, dilation=2)
def neighborhood_1d(b, h, i, j, window, dilation):
    return j in around(i, 75, window, dilation)


@case(keys=45, grid_width=9, window=3, dilation=1)
@case(keys=45, grid_width=9, window=3, dilation=2)
@case(keys=45, grid_width=9, window=7, dilation=1)
def neighborhood_2d(b, h, i, j, grid_width, window, dilation):
    return all(c in around(a, n, window, dilation) for a, c, n in zip(at(i), at(j), (5, 9), strict=True))


@case(keys=45, grid_width=9, tile=2, window=3)
@case(keys=45, grid_width=9, tile=2, window=1)
def tiled_neighborhood(b, h, i, j, grid_width, tile, window):
    """3 x 5 tiles, the last ones cut off."""
    return all(c // tile in around(a // tile, n, window) for a, c, n in zip(at(i), at(j), (3, 5), strict=True))


@case(keys=45, inputs={"ahead": torch.tensor([[1, 0], [0, 1], [-1, 0], [0, -1]])}, grid_width=9)
@case(keys=45, inputs={"ahead": torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]])}, grid_width=9)
def directed_views(b, h, i, j, ahead, grid_width):
    down, right = (there - here for here, there in zip(at(i), at(j), strict=True))
    turn = math.atan2(down, right) - math.atan2(ahead[h][1], ahead[h][0])
    return i == j or math.cos(turn) >= math.cos(math.pi / 4) - 1e-9


@functools.cache
def rings(height, width):
    """The number of each cell's ring, by peeling."""
    left, number = set(itertools.product(range(height), range(width))), {}
    for ring in itertools.count():
        if not left:
            return number
        ends = [{f(cell[side] for cell in left) for f in (min, max)} for side in (0, 1)]
        peel = {cell for cell in left if cell[0] in ends[0] or cell[1] in ends[1]}
        number |= dict.fromkeys(peel, ring)
        left -= peel


@case(keys=45, grid_width=9)
def concentric_causal(b, h, i, j, grid_width):
    number = rings(5, 9)
    return number[at(j)] <= number[at(i)]


# Videos


@case(keys=105, grid_height=3, grid_width=5, frames=3, window=3)
@case(keys=105, grid_height=3, grid_width=5, frames=2, window=5)
def neighborhood_3d(b, h, i, j, grid_height, grid_width, frames, window):
    """7 frames of 3 x 5."""
    boxes = list(itertools.product(range(7), range(3), range(5)))
    sides = zip(boxes[i], boxes[j], (7, 3, 5), (frames, window, window), strict=True)
    return all(c in around(a, length, size) for a, c, length, size in sides)


@case(keys=120, volume=2, down=3, across=4, frames=3, window=3)
@case(keys=120, volume=2, down=3, across=4, frames=1, window=1)
def sliding_tile(b, h, i, j, volume, down, across, frames, window):
    """5 x 3 x 4 tiles of 2 tokens."""
    tiles = [tile for tile in itertools.product(range(5), range(3), range(4)) for _ in range(2)]
    sides = zip(tiles[i], tiles[j], (5, 3, 4), (frames, window, window), strict=True)
    return all(c in around(a, length, size) for a, c, length, size in sides)


@case(keys=84, frame=4)
@case(keys=84, frame=12)
def radial(b, h, i, j, frame):
    (t, x), (u, y) = divmod(i, frame), divmod(j, frame)
    apart, halvings = abs(t - u), 1
    while 2 * halvings <= apart:
        halvings *= 2
    if u == 0 or abs(x - y) + 1 <= frame / halvings:
        return True
    return x == y and apart % math.ceil(halvings / frame) == 0


def dense(q, k, v, mask):
    """Attention with every pair held; rows without keys are 0."""
    scores = (q @ k.transpose(-1, -2) / math.sqrt(D)).masked_fill(~mask, -1e30)
    return (scores.softmax(-1) * mask) @ v


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, cases in CASES.items() for n in range(len(cases))], ids=str
)
def test_mask(name, number):
    made = CASES[name][number]
    spec, mask = attnc.load(MASKS / f"{name}.attn"), made.mask()
    noise = functools.partial(torch.randn, generator=generator())
    tensors = [noise(B, H, n, D, requires_grad=True) for n in (made.queries, made.keys, made.keys)]
    found, expected = spec(*tensors, **made.inputs, **made.parameters), dense(*tensors, mask)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    weight = noise(B, H, made.queries, D)
    for mine, theirs in zip(
        torch.autograd.grad(found, tensors, weight), torch.autograd.grad(expected, tensors, weight), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_each_file_has_a_case_and_names_a_source():
    files = sorted(MASKS.glob("*.attn"))
    assert [path.stem for path in files] == sorted(CASES)
    for path in files:
        first, source = path.read_text().split('"""')[1].split("\n\n")
        assert first.endswith(".") and re.search(r', "[^"]+" \((19|20)\d\d\)', source), path


@pytest.mark.parametrize("name, number", [(name, n) for name, cases in CASES.items() for n in range(len(cases))])
def test_what_is_drawn(name, number):
    from .pictures import drawings

    seen = CASES[name][number].mask()[B - 1]
    for drawn in drawings(name, number):
        assert torch.equal(drawn.pairs.bool(), seen[drawn.head or 0])
        assert drawn.in_order.sum() == drawn.pairs.sum()


def test_each_mask_has_a_picture():
    page = (FOLDER / "README.md").read_text()
    pictures = sorted((MASKS / "pictures").glob("*.png"))
    assert [path.stem for path in pictures] == sorted(CASES)
    assert all(f"(masks/pictures/{path.name})" in page for path in pictures)
