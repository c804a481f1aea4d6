// Integer vectors: the operators of wide, absolute values and extremes, division and modulo that round down.
#pragma once

#include "attnc_vector.h"

namespace attnc {

// ---- operators of wide, with a wide or an int64_t on either side; comparisons give masks of lanes 0 or -1

#define ATTNC_WIDE_OPERATOR(op)                                                                            \
  ATTNC_INLINE wide operator op(wide a, wide b) { return wide{a.lo op b.lo, a.hi op b.hi}; }               \
  ATTNC_INLINE wide operator op(wide a, int64_t b) { return wide{a.lo op b, a.hi op b}; }                  \
  ATTNC_INLINE wide operator op(int64_t a, wide b) { return wide{a op b.lo, a op b.hi}; }
ATTNC_WIDE_OPERATOR(+)
ATTNC_WIDE_OPERATOR(-)
ATTNC_WIDE_OPERATOR(*)
ATTNC_WIDE_OPERATOR(&)
ATTNC_WIDE_OPERATOR(|)
ATTNC_WIDE_OPERATOR(^)
ATTNC_WIDE_OPERATOR(<)
ATTNC_WIDE_OPERATOR(<=)
ATTNC_WIDE_OPERATOR(>)
ATTNC_WIDE_OPERATOR(>=)
ATTNC_WIDE_OPERATOR(==)
ATTNC_WIDE_OPERATOR(!=)
#undef ATTNC_WIDE_OPERATOR
#define ATTNC_WIDE_ASSIGN(op)                                                        \
  ATTNC_INLINE wide &operator op##=(wide &a, wide b) { return a = a op b; }          \
  ATTNC_INLINE wide &operator op##=(wide &a, int64_t b) { return a = a op b; }
ATTNC_WIDE_ASSIGN(+)
ATTNC_WIDE_ASSIGN(-)
ATTNC_WIDE_ASSIGN(*)
ATTNC_WIDE_ASSIGN(&)
ATTNC_WIDE_ASSIGN(|)
ATTNC_WIDE_ASSIGN(^)
#undef ATTNC_WIDE_ASSIGN
ATTNC_INLINE wide operator-(wide a) { return wide{-a.lo, -a.hi}; }
ATTNC_INLINE wide operator~(wide a) { return wide{~a.lo, ~a.hi}; }
ATTNC_INLINE wide operator!(wide a) { return a == 0; }

// ---- absolute value, extremes

ATTNC_INLINE int32_t abs(int32_t x) { return x < 0 ? -x : x; }
ATTNC_INLINE int64_t abs(int64_t x) { return x < 0 ? -x : x; }
ATTNC_INLINE v_int abs(v_int x) { return x < 0 ? -x : x; }
ATTNC_INLINE v_long abs(v_long x) { return x < 0 ? -x : x; }
ATTNC_INLINE wide abs(wide x) { return wide{abs(x.lo), abs(x.hi)}; }

#define ATTNC_INTEGER_EXTREME(name, op)                                                                 \
  ATTNC_INLINE int64_t name(int64_t a, int64_t b) { return a op b ? a : b; }                            \
  ATTNC_INLINE v_int name(v_int a, v_int b) { return a op b ? a : b; }                                  \
  ATTNC_INLINE v_long name(v_long a, v_long b) { return a op b ? a : b; }                               \
  ATTNC_INLINE wide name(wide a, wide b) { return wide{name(a.lo, b.lo), name(a.hi, b.hi)}; }
ATTNC_INTEGER_EXTREME(vmax, >)
ATTNC_INTEGER_EXTREME(vmin, <)
#undef ATTNC_INTEGER_EXTREME

// ---- random bits: the steps of SplitMix64 from a state that b moves, and the upper 23 bits of the result

ATTNC_INLINE uint64_t splat_like(uint64_t, uint64_t x) { return x; }
ATTNC_INLINE v_ulong splat_like(v_ulong, uint64_t x) { return (v_ulong)splat_ints<double>((int64_t)x); }
template <class U> ATTNC_INLINE U mixed_bits(U a, U b) {
  U z = a + (b + 1) * splat_like(a, 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * splat_like(a, 0xBF58476D1CE4E5B9u);
  z = (z ^ (z >> 27)) * splat_like(a, 0x94D049BB133111EBu);
  return z ^ (z >> 31);
}
ATTNC_INLINE int64_t hash(int64_t a, int64_t b) { return (int64_t)mixed_bits((uint64_t)a, (uint64_t)b); }
ATTNC_INLINE v_long hash(v_long a, v_long b) { return (v_long)mixed_bits((v_ulong)a, (v_ulong)b); }
ATTNC_INLINE wide hash(wide a, wide b) { return wide{hash(a.lo, b.lo), hash(a.hi, b.hi)}; }
ATTNC_INLINE int64_t upper_bits(int64_t x) { return (int64_t)((uint64_t)x >> 41); }
ATTNC_INLINE v_long upper_bits(v_long x) { return (v_long)((v_ulong)x >> 41); }
ATTNC_INLINE wide upper_bits(wide x) { return wide{upper_bits(x.lo), upper_bits(x.hi)}; }

// ---- division rounding down and the remainder with the divisor's sign, as Python's // and %
//
// Dividing by zero gives 0 for both and never traps, so that a lane that is masked off anyway can hold anything;
// the one quotient that does not fit (the least integer by -1) wraps.

ATTNC_INLINE int64_t floordiv(int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (b == -1) return (int64_t)(0 - (uint64_t)a);
  const int64_t quotient = a / b;
  return quotient - (quotient * b != a && (a < 0) != (b < 0));
}
ATTNC_INLINE int64_t floormod(int64_t a, int64_t b) {
  return b == 0 ? 0 : (int64_t)((uint64_t)a - (uint64_t)floordiv(a, b) * (uint64_t)b);
}

// A double's quotient, rounded down, is exact for |a|, |b| < 2^52: a quotient that is no integer misses the next
// integer by at least 1 / |b|, more than the rounding of a / b. This adds to it 1.5 * 2^52, whose last bit is
// worth one, to pass between integers and doubles of that range with one addition and no conversion.
static const int64_t integer_bias_bits = 0x4338000000000000;
static const double integer_bias = 6755399441055744.0;
static const int64_t double_exact = (int64_t)1 << 51;

ATTNC_INLINE v_long round_down_bits(v_double x) {  // the biased bits of floor(x), |x| <= 2^51
  const v_double near = (x + integer_bias) - integer_bias;
  const v_double down = near - (v_double)((v_long)splat<double>(1) & (near > x));
  return (v_long)(down + integer_bias);
}
ATTNC_INLINE v_long divide_small(v_long a, v_long b) {
  const v_double x = (v_double)(a + integer_bias_bits) - integer_bias;
  const v_double y = (v_double)(b + integer_bias_bits) - integer_bias;
  const v_long quotient = round_down_bits(x / (b == 0 ? splat<double>(1) : y)) - integer_bias_bits;
  return quotient & (b != 0);
}
ATTNC_INLINE v_long floordiv(v_long a, v_long b) {
  if (!any((abs(a) >= double_exact) | (abs(b) >= double_exact) | (a == INT64_MIN) | (b == INT64_MIN)))
    return divide_small(a, b);
  for (int i = 0; i < lanes<double>; i++) a[i] = floordiv(a[i], b[i]);
  return a;
}
ATTNC_INLINE wide floordiv(wide a, wide b) { return wide{floordiv(a.lo, b.lo), floordiv(a.hi, b.hi)}; }
ATTNC_INLINE v_int floordiv(v_int a, v_int b) {
  const wide x = widen_ints(a), y = widen_ints(b);
  return narrow_longs(wide{divide_small(x.lo, y.lo), divide_small(x.hi, y.hi)});
}
ATTNC_INLINE v_int floormod(v_int a, v_int b) {
  return (v_int)((v_uint)a - (v_uint)floordiv(a, b) * (v_uint)b) & (b != 0);
}
ATTNC_INLINE v_long floormod(v_long a, v_long b) {
  return (v_long)((v_ulong)a - (v_ulong)floordiv(a, b) * (v_ulong)b) & (b != 0);
}
ATTNC_INLINE wide floormod(wide a, wide b) { return wide{floormod(a.lo, b.lo), floormod(a.hi, b.hi)}; }

// The same with one divisor for all lanes.
#define ATTNC_SCALAR_DIVISOR(name)                                                                      \
  ATTNC_INLINE v_int name(v_int a, int32_t b) { return name(a, splat_ints<float>(b)); }                 \
  ATTNC_INLINE v_long name(v_long a, int64_t b) { return name(a, splat_ints<double>(b)); }              \
  ATTNC_INLINE wide name(wide a, int64_t b) { return name(a, splat_longs<float>(b)); }
ATTNC_SCALAR_DIVISOR(floordiv)
ATTNC_SCALAR_DIVISOR(floormod)
#undef ATTNC_SCALAR_DIVISOR

// ---- the same for floating point, as torch.floor_divide and torch.remainder

ATTNC_INLINE float exact_remainder(float a, float b) { return __builtin_fmodf(a, b); }
ATTNC_INLINE double exact_remainder(double a, double b) { return __builtin_fmod(a, b); }
template <class T> ATTNC_INLINE T floor_remainder(T a, T b) {
  const T r = exact_remainder(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
template <class T> ATTNC_INLINE T floor_quotient(T a, T b) {
  if (b == 0) return a / b;
  const T r = exact_remainder(a, b);
  const T quotient = (a - r) / b - (T)(r != 0 && (r < 0) != (b < 0));
  if (quotient == 0) return (T)__builtin_copysign(0.0, (double)(a / b));
  const T down = (T)__builtin_floor((double)quotient);
  return quotient - down > (T)0.5 ? down + 1 : down;
}
#define ATTNC_FLOAT_DIVISION(T)                                                             \
  ATTNC_INLINE T floordiv(T a, T b) { return floor_quotient(a, b); }                        \
  ATTNC_INLINE T floormod(T a, T b) { return floor_remainder(a, b); }                       \
  static inline vec<T> floordiv(vec<T> a, vec<T> b) {                                       \
    for (int i = 0; i < lanes<T>; i++) a[i] = floor_quotient((T)a[i], (T)b[i]);             \
    return a;                                                                               \
  }                                                                                         \
  static inline vec<T> floormod(vec<T> a, vec<T> b) {                                       \
    for (int i = 0; i < lanes<T>; i++) a[i] = floor_remainder((T)a[i], (T)b[i]);            \
    return a;                                                                               \
  }
ATTNC_FLOAT_DIVISION(float)
ATTNC_FLOAT_DIVISION(double)
#undef ATTNC_FLOAT_DIVISION

}  // namespace attnc
