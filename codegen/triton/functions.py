"""What Triton's language lacks, in Triton: a module of kernels gets a copy of those that it uses.

Only operations that the interpreter has too; accurate to a few units of rounding in float32 unless said.
"""

import triton
import triton.language as tl


@triton.jit
def multiply(a, b):
    return a * b


@triton.jit
def sum_before(a, last_a, b, last_b):
    """Of two stretches: the sum of all but the last number, and that one."""
    return a + last_a + b, last_b


@triton.jit
def max_before(a, last_a, b, last_b):
    return tl.maximum(tl.maximum(a, last_a), b), last_b


@triton.jit
def min_before(a, last_a, b, last_b):
    return tl.minimum(tl.minimum(a, last_a), b), last_b


@triton.jit
def floordiv(a, b):
    """Rounded down; 0 where b is 0."""
    safe = tl.where(b == 0, 1, b)
    quotient = a // safe
    left = a - quotient * safe
    quotient = quotient - tl.where((left != 0) & ((left < 0) != (safe < 0)), 1, 0)
    return tl.where(b == 0, 0, quotient)


@triton.jit
def mod(a, b):
    """With the sign of b; 0 where b is 0."""
    return tl.where(b == 0, 0, a - floordiv(a, b) * b)


@triton.jit
def shift_left(a, b):
    count = tl.cast(tl.maximum(b, 0), tl.int64)
    return tl.where(count < 64, tl.cast(a, tl.int64) << tl.minimum(count, 63), 0)


@triton.jit
def shift_right(a, b):
    count = tl.cast(tl.minimum(tl.maximum(b, 0), 63), tl.int64)
    return tl.cast(a, tl.int64) >> count


@triton.jit
def hash(a, b):
    """The steps of SplitMix64 from a state that b moves."""
    z = tl.cast(a, tl.uint64) + (tl.cast(tl.cast(b, tl.int64), tl.uint64) + 1) * 0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return tl.cast(z ^ (z >> 31), tl.int64)


@triton.jit
def unit(x):
    """The upper 23 bits as a number within (0, 1)."""
    return (tl.cast(tl.cast(x, tl.uint64) >> 41, tl.float32) + 0.5) * 1.1920928955078125e-07


@triton.jit
def float_mod(a, b):
    """With the sign of b; in float64, where the quotient of two float32 does not round to the next whole number."""
    whole = tl.cast(a, tl.float64)
    part = tl.cast(b, tl.float64)
    return tl.cast(whole - part * tl.floor(whole / part), tl.float32)


@triton.jit
def round_even(x):
    """To the nearest whole number, halves to even ones."""
    low = tl.floor(x)
    half = x - low
    odd = low - 2.0 * tl.floor(low * 0.5)
    return tl.where((half > 0.5) | ((half == 0.5) & (odd == 1.0)), low + 1.0, low)


@triton.jit
def sign(x):
    return tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, 0.0))


@triton.jit
def relu(x):
    return tl.where(x < 0, 0.0, x)


@triton.jit
def finite_or(x, other):
    return tl.where((x - x) == 0, x, other)


@triton.jit
def expm1(x):
    """A series near 0, where exp(x) - 1 would cancel."""
    series = x * (1.0 + x * (0.5 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x * (1 / 720 + x * (1 / 5040)))))))
    return tl.where(tl.abs(x) < 0.35, series, tl.exp(x) - 1.0)


@triton.jit
def log1p(x):
    """log(1 + x), corrected for what the sum loses."""
    total = 1.0 + x
    lost = x - (total - 1.0)
    whole = (total > 0) & ((total - total) == 0)
    safe = tl.where(whole, total, 1.0)
    return tl.where(whole, tl.log(safe) + lost / safe, tl.log(total))


@triton.jit
def tanh(x):
    """A series of odd powers near 0, else by exp."""
    y = tl.abs(x)
    z = x * x
    series = -0.00886323552 + z * (0.00359212803 + z * -0.00145583438)
    series = 0.13333333333 + z * (-0.05396825397 + z * (0.02186948854 + z * series))
    small = x + x * z * (-0.33333333333 + z * series)
    power = tl.exp(-2.0 * y)
    large = (1.0 - power) / (1.0 + power)
    return tl.where(y < 0.3, small, tl.where(x < 0, -large, large))


@triton.jit
def softplus(x):
    return tl.maximum(x, 0.0) + log1p(tl.exp(-tl.abs(x)))


@triton.jit
def log_sigmoid(x):
    return -softplus(-x)


@triton.jit
def logaddexp(a, b):
    top = tl.maximum(a, b)
    apart = tl.minimum(a, b) - top
    found = tl.where((top - top) == 0, top + log1p(tl.exp(apart)), top)
    return tl.where(a != a, a, tl.where(b != b, b, found))


@triton.jit
def turned(x, quarters):
    """The sine of x + quarters * pi / 2: a polynomial of what whole quarter turns leave, for angles to 2**24.

    pi / 2 and the number of turns go in pieces of 12 bits, whose products are exact. tl.sin, good for all angles, needs
    memory of its own for the largest, which every program would have to set aside.
    """
    turns = tl.floor(x * 0.63661977 + 0.5)
    upper = tl.floor(turns * 0.000244140625 + 0.5) * 4096.0
    lower = turns - upper
    rest = (x - upper * 1.5703125) - lower * 1.5703125
    rest = (rest - upper * 0.0004837512969970703) - lower * 0.0004837512969970703
    rest = rest - turns * 7.549789955e-08
    more = tl.floor(rest * 0.63661977 + 0.5)  # what rounding the number of turns missed
    rest = tl.minimum(tl.maximum(rest - more * 1.57079633, -0.7854), 0.7854)
    turns = turns + more + quarters
    quarter = tl.cast(turns - 4.0 * tl.floor(turns * 0.25), tl.int32)
    z = rest * rest
    odd = rest + rest * z * (-1.6666654611e-1 + z * (8.3321608736e-3 + z * -1.9515295891e-4))
    even = 1.0 - 0.5 * z + z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5))
    found = tl.where(quarter % 2 == 0, odd, even)
    return tl.where((x - x) != 0, float("nan"), tl.where(quarter < 2, found, -found))


@triton.jit
def sin(x):
    return turned(x, 0.0)


@triton.jit
def cos(x):
    return turned(x, 1.0)


@triton.jit
def larger(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def smaller(a, b):
    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def solve_step(f, slope, size, step, t, below, above):
    """One step towards the zero of a rising f within [below, above], known to be f at t: Newton's where that stays
    inside what is left, else half of it (and every fourth time, for what Newton is slow on); and whether t may move:
    not where numbers of this size cancel in f to their last digit."""
    open = (f == f) & (tl.abs(f) > 6e-8 * size) & ((f < 0) | (step > 0)) & (step < 300)
    above = tl.where(open & (f > 0), t, above)
    below = tl.where(open & (f < 0), t, below)
    next = t - f / tl.where(slope == 0, 1.0, slope)
    half = below + (above - below) * 0.5
    is_slow = (step > 8) & (step % 4 == 0)
    next = tl.where((slope != 0) & (next > below) & (next < above) & (is_slow == 0), next, half)
    open = open & (next > below) & (next < above)
    moved = tl.abs(next - t)
    return tl.where(open, next, t), below, above, open & (moved > 2.4e-7 * tl.abs(next))


@triton.jit
def in_order(x):
    """Floating numbers as integers in the same order."""
    if x.dtype == tl.float64:
        wide = x.to(tl.int64, bitcast=True)
        return tl.where(wide < 0, wide ^ 0x7FFFFFFFFFFFFFFF, wide)
    else:
        bits = tl.cast(x, tl.float32).to(tl.int32, bitcast=True)
        return tl.cast(tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits), tl.int64)


@triton.jit
def from_order(key):
    """The number that an integer in this order stands for."""
    bits = tl.cast(key, tl.int32)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(tl.float32, bitcast=True)


@triton.jit
def from_wide_order(key):
    return tl.where(key < 0, key ^ 0x7FFFFFFFFFFFFFFF, key).to(tl.float64, bitcast=True)


@triton.jit
def rounding(x):
    """How far numbers of this size lie apart."""
    if x.dtype == tl.float64:
        return tl.abs(x) * 2.220446049250313e-16
    else:
        return tl.abs(x) * 1.1920928955078125e-07


@triton.jit
def middle_of(below, above):
    return (below & above) + ((below ^ above) >> 1)


@triton.jit
def search_step(holds, below, above):
    """The next middle of what is left, the condition being known at the last one; and whether it was not the last."""
    middle = middle_of(below, above)
    open = below < above
    above = tl.where(open & holds, middle, above)
    below = tl.where(open & (holds == 0), middle + 1, below)
    return middle_of(below, above), below, above, open


@triton.jit
def atan2(y, x):
    """By a polynomial of the smaller over the larger side."""
    a, b = tl.abs(y), tl.abs(x)
    large, small = tl.maximum(a, b), tl.minimum(a, b)
    t = tl.where(a == b, 1.0, small / tl.where(large == 0, 1.0, large))
    t = tl.where(large == 0, 0.0, t)
    steep = t > 0.41421356
    u = tl.where(steep, (t - 1.0) / (t + 1.0), t)
    z = u * u
    series = ((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1
    angle = tl.where(steep, 0.78539816339744831, 0.0) + (series * z * u + u)
    angle = tl.where(a > b, 1.57079632679489662 - angle, angle)
    angle = tl.where(x < 0, 3.14159265358979324 - angle, angle)
    angle = tl.where(y != y, y, tl.where(x != x, x, angle))
    return tl.where(y < 0, -angle, angle)


@triton.jit
def log2_wide(x):
    """log2 of a positive float32 to 50 bits: the exponent, and a series for the rest."""
    tiny = x < 1.17549435e-38
    bits = tl.where(tiny, x * 16777216.0, x).to(tl.int32, bitcast=True)
    whole = (bits >> 23) - tl.where(tiny, 151, 127)
    rest = ((bits & 0x7FFFFF) | 0x3F800000).to(tl.float32, bitcast=True)
    upper = rest > 1.41421356
    rest = tl.cast(tl.where(upper, rest * 0.5, rest), tl.float64)
    below = rest + 1.0
    inverse = tl.cast(1.0 / tl.cast(below, tl.float32), tl.float64)
    inverse = inverse * (2.0 - below * inverse)  # a division in float64 is a call with a stack of its own
    s = (rest - 1.0) * (inverse * (2.0 - below * inverse))
    z = s * s
    series = 1 / 9 + z * (1 / 11 + z * (1 / 13 + z * (1 / 15 + z * (1 / 17))))
    series = 1.0 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * series)))
    return tl.cast(whole + tl.where(upper, 1, 0), tl.float64) + s * series * 2.8853900817779268


@triton.jit
def power(x, y):
    """x ** y as 2 ** (y log2 |x|), the exponent in float64; negative x only to whole powers."""
    x = x + tl.zeros_like(y + x)
    y = y + tl.zeros_like(x)
    size = tl.cast(tl.where(x == 0, 1.0, tl.abs(x)), tl.float32)
    ends = (size == float("inf")) | (size != size)
    total = tl.where(size == 1, 0.0, tl.cast(y, tl.float64) * log2_wide(tl.where(ends, 1.0, size)))
    low = tl.floor(tl.minimum(tl.maximum(total, -200.0), 200.0))
    size = tl.exp2(tl.cast(total - low, tl.float32)) * tl.exp2(tl.cast(low, tl.float32))
    size = tl.where(ends, tl.where(y > 0, tl.abs(x), tl.where(y < 0, 1.0 / tl.abs(x), 1.0)), size)
    half = y * 0.5
    signed = tl.where(tl.floor(half) == half, size, -size)
    signed = tl.where(tl.floor(y) == y, signed, tl.where(ends, size, float("nan")))
    found = tl.where(x < 0, signed, size)
    found = tl.where(x == 0, tl.where(y > 0, 0.0, tl.where(y == 0, 1.0, float("inf"))), found)
    return tl.where(x == 1, 1.0, tl.where(y != y, y, found))
