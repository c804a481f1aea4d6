// Elementary functions of vectors and scalars: what both widths share, and double.
//
// Each error bound is in units in the last place (ulp) of the result, over all arguments, as tests/cpp measures
// against exact values; infinities, NaN and signed zeros behave as in libm. Polynomials are minimax fits whose
// coefficients were rounded to T. Scalars call libm (1 ulp).
#pragma once

#include "attnc_integer.h"

namespace attnc {

// ---- rounding, square root (exact)

#if defined(ATTNC_WHOLE)
#define ATTNC_ONE_INSTRUCTION(name, V, x86, arm)        \
  ATTNC_INLINE V name(V x) {                            \
    V r;                                                \
    __asm__(x86 "%1, %0" : "=v"(r) : "v"(x));           \
    return r;                                           \
  }
#elif defined(__aarch64__)
#define ATTNC_ONE_INSTRUCTION(name, V, x86, arm)                                                  \
  ATTNC_INLINE V name(V x) {                                                                      \
    V r;                                                                                          \
    if (sizeof(x[0]) == 4)                                                                        \
      __asm__(arm " %0.4s, %1.4s" : "=w"(r) : "w"(x));                                            \
    else                                                                                          \
      __asm__(arm " %0.2d, %1.2d" : "=w"(r) : "w"(x));                                            \
    return r;                                                                                     \
  }
#endif
#if ATTNC_VECTOR_BYTES == 64
#define ATTNC_ROUND_PS "vrndscaleps "
#define ATTNC_ROUND_PD "vrndscalepd "
#else
#define ATTNC_ROUND_PS "vroundps "
#define ATTNC_ROUND_PD "vroundpd "
#endif
#ifdef ATTNC_ONE_INSTRUCTION
ATTNC_ONE_INSTRUCTION(sqrt, v_float, "vsqrtps ", "fsqrt")
ATTNC_ONE_INSTRUCTION(sqrt, v_double, "vsqrtpd ", "fsqrt")
ATTNC_ONE_INSTRUCTION(round, v_float, ATTNC_ROUND_PS "$0, ", "frintn")  // half to even
ATTNC_ONE_INSTRUCTION(round, v_double, ATTNC_ROUND_PD "$0, ", "frintn")
ATTNC_ONE_INSTRUCTION(floor, v_float, ATTNC_ROUND_PS "$1, ", "frintm")
ATTNC_ONE_INSTRUCTION(floor, v_double, ATTNC_ROUND_PD "$1, ", "frintm")
ATTNC_ONE_INSTRUCTION(ceil, v_float, ATTNC_ROUND_PS "$2, ", "frintp")
ATTNC_ONE_INSTRUCTION(ceil, v_double, ATTNC_ROUND_PD "$2, ", "frintp")
#undef ATTNC_ONE_INSTRUCTION
#else
ATTNC_INLINE v_float sqrt(v_float x) {
  ATTNC_UNROLL for (int i = 0; i < lanes<float>; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
}
ATTNC_INLINE v_double sqrt(v_double x) {
  ATTNC_UNROLL for (int i = 0; i < lanes<double>; i++) x[i] = __builtin_sqrt(x[i]);
  return x;
}
// A magnitude below 2^23 (2^52) loses its fraction when that power is added; larger ones have none.
template <class T> ATTNC_INLINE vec<T> round_by_adding(vec<T> x) {
  const T power = sizeof(T) == 4 ? (T)0x1p23 : (T)0x1p52;
  const ints<T> sign = (ints<T>)x & (ints<T>)splat<T>(-(T)0);
  const vec<T> magnitude = (vec<T>)((ints<T>)x ^ sign);
  const vec<T> rounded = (vec<T>)((ints<T>)((magnitude + power) - power) | sign);
  return magnitude < power ? rounded : x;
}
template <class T> ATTNC_INLINE vec<T> with_sign_of(vec<T> x, vec<T> y) {
  const ints<T> sign = (ints<T>)splat<T>(-(T)0);
  return (vec<T>)(((ints<T>)x & ~sign) | ((ints<T>)y & sign));
}
#define ATTNC_ROUNDING(T)                                                                              \
  ATTNC_INLINE vec<T> round(vec<T> x) { return round_by_adding<T>(x); }                                \
  ATTNC_INLINE vec<T> floor(vec<T> x) {                                                                \
    const vec<T> r = round(x);                                                                         \
    return with_sign_of<T>(r > x ? r - 1 : r, x);                                                      \
  }                                                                                                    \
  ATTNC_INLINE vec<T> ceil(vec<T> x) {                                                                 \
    const vec<T> r = round(x);                                                                         \
    return with_sign_of<T>(r < x ? r + 1 : r, x);                                                      \
  }
ATTNC_ROUNDING(float)
ATTNC_ROUNDING(double)
#undef ATTNC_ROUNDING
#endif

// ---- sign, magnitude, multiply-add

ATTNC_INLINE v_float abs(v_float x) { return (v_float)((v_int)x & 0x7fffffff); }
ATTNC_INLINE v_double abs(v_double x) { return (v_double)((v_long)x & INT64_MAX); }
ATTNC_INLINE v_float copysign(v_float x, v_float y) {
  return (v_float)(((v_int)x & 0x7fffffff) | ((v_int)y & INT32_MIN));
}
ATTNC_INLINE v_double copysign(v_double x, v_double y) {
  return (v_double)(((v_long)x & INT64_MAX) | ((v_long)y & INT64_MIN));
}
// -1, 0 or 1; 0 for NaN, as torch.sign.
ATTNC_INLINE v_float sign(v_float x) { return convert_float((x < 0) - (x > 0)); }
ATTNC_INLINE v_double sign(v_double x) {
  return select(x > 0, splat<double>(1), select(x < 0, splat<double>(-1), v_double{}));
}
ATTNC_INLINE float sign(float x) { return (float)((x > 0) - (x < 0)); }
ATTNC_INLINE double sign(double x) { return (double)((x > 0) - (x < 0)); }
// a * b + c, rounded once where the machine has the instruction.
ATTNC_INLINE v_float fma(v_float a, v_float b, v_float c) { return a * b + c; }
ATTNC_INLINE v_double fma(v_double a, v_double b, v_double c) { return a * b + c; }
ATTNC_INLINE float fma(float a, float b, float c) { return a * b + c; }
ATTNC_INLINE double fma(double a, double b, double c) { return a * b + c; }
// 1.5 ulp
ATTNC_INLINE v_float rsqrt(v_float x) { return 1.0f / sqrt(x); }
ATTNC_INLINE v_double rsqrt(v_double x) { return 1.0 / sqrt(x); }

// ---- powers of two

// Adding this to a small whole number leaves the number in the last bits of the sum.
constexpr float whole_bias_f = 12582912.0f;
constexpr double whole_bias_d = 6755399441055744.0;

// x * 2^n for whole n within the range where 2^n or its inverse square is representable, rounded once or twice.
#if ATTNC_VECTOR_BYTES == 64
ATTNC_INLINE v_float scale(v_float x, v_float n) {
  v_float r;
  __asm__("vscalefps %2, %1, %0" : "=v"(r) : "v"(x), "v"(n));
  return r;
}
ATTNC_INLINE v_double scale(v_double x, v_double n) {
  v_double r;
  __asm__("vscalefpd %2, %1, %0" : "=v"(r) : "v"(x), "v"(n));
  return r;
}
// x less the nearest whole number; 0 for infinities.
ATTNC_INLINE v_float fraction(v_float x) {
  v_float r;
  __asm__("vreduceps $0, %1, %0" : "=v"(r) : "v"(x));
  return r;
}
ATTNC_INLINE v_double fraction(v_double x) {
  v_double r;
  __asm__("vreducepd $0, %1, %0" : "=v"(r) : "v"(x));
  return r;
}
#else
ATTNC_INLINE v_float scale(v_float x, v_float n) {
  const v_int whole = (v_int)(n + whole_bias_f) - (v_int)splat<float>(whole_bias_f), half = whole >> 1;
  return x * (v_float)((half + 127) << 23) * (v_float)((whole - half + 127) << 23);
}
ATTNC_INLINE v_double scale(v_double x, v_double n) {
  const v_double half = (n * 0.5 + whole_bias_d) - whole_bias_d, rest = n - half;
  const v_ulong first = (v_ulong)(half + whole_bias_d) + 1023, second = (v_ulong)(rest + whole_bias_d) + 1023;
  return x * (v_double)(first << 52) * (v_double)(second << 52);
}
#endif

// The lowest coefficient comes first.
template <class V, class C> ATTNC_INLINE V polynomial(V, C last) { return last - V{}; }
template <class V, class C, class... Cs> ATTNC_INLINE V polynomial(V x, C first, Cs... rest) {
  return first + x * polynomial(x, rest...);
}
// x within [lo, hi]; NaN stays NaN, being the second operand.
template <class V, class C> ATTNC_INLINE V clamp(V x, C lo, C hi) {
  return first_if_smaller(hi - V{}, first_if_larger(lo - V{}, x));
}

// ---- double

ATTNC_INLINE v_double exp2_fraction(v_double r) {  // |r| <= 1/2
  return polynomial(r, 1.0, 0.69314718055994529, 0.2402265069591013, 0.055504108664820084, 0.0096181291075941207,
                    0.0013333558146774627, 0.0001540353045711214, 1.5252733493122926e-05, 1.3215435282285351e-06,
                    1.0178199573522776e-07, 7.0737832523285934e-09, 4.434771073211928e-10);
}
// 1.5 ulp
ATTNC_INLINE v_double exp2(v_double x) {
#if ATTNC_VECTOR_BYTES == 64
  const v_double r = fraction(x);
  return scale(exp2_fraction(r), x - r);
#else
  x = clamp(x, -1076.0, 1025.0);
  const v_double n = (x + whole_bias_d) - whole_bias_d;
  return scale(exp2_fraction(x - n), n);
#endif
}
// 1.5 ulp
ATTNC_INLINE v_double exp(v_double x) {
  x = clamp(x, -746.0, 710.0);
  const v_double n = (x * 1.4426950408889634 + whole_bias_d) - whole_bias_d;
  const v_double r = (x - n * 0.69314718060195446) + n * 4.2009150726810846e-11;
  return scale(polynomial(r, 1.0, 1.0, 0.50000000000000111, 0.16666666666666413, 0.041666666666530267,
                          0.0083333333334943364, 0.0013888888943598119, 0.00019841269506773324,
                          2.4801493135704474e-05, 2.7557586271871954e-06, 2.7630234104333789e-07,
                          2.5000070646589801e-08), n);
}

// x = m * 2^e with m within [sqrt(1/2), sqrt(2)); gives m - 1 and log(m) = (m - 1) - rest.
ATTNC_INLINE void log_parts(v_double x, v_double &e, v_double &f, v_double &rest) {
  const v_long tiny = x < 0x1p-1022;
  const v_ulong b = (v_ulong)(tiny ? x * 0x1p54 : x);
  const v_ulong biased = (b + (((uint64_t)1023 << 52) - 0x3fe6a09e667f3bcd)) >> 52;
  e = (v_double)(biased | 0x4330000000000000) - (tiny ? splat(0x1p52 + 1077) : splat(0x1p52 + 1023));
  f = (v_double)(b - ((biased - 1023) << 52)) - 1.0;
  const v_double s = f / (2.0 + f), z = s * s, half_square = 0.5 * f * f;
  const v_double r = z * polynomial(z, 0.6666666666666734, 0.39999999999416302, 0.28571428742032495,
                                    0.22222198608897367, 0.18183562510290682, 0.15314095969909963,
                                    0.14795505519672986);
  rest = half_square - s * (half_square + r);
}
template <class V> ATTNC_INLINE V log_special(V x, V r) {  // what the parts of 0, infinity, NaN and negatives miss
  r = x < __builtin_inf() ? r : x;
  r = x < 0 ? __builtin_nan("") - V{} : r;
  return x == 0 ? -__builtin_inf() - V{} : r;
}
// 1 ulp
ATTNC_INLINE v_double log(v_double x) {
  v_double e, f, rest;
  log_parts(x, e, f, rest);
  return log_special(x, e * 0.69314718060195446 - ((rest + e * 4.2009150726810846e-11) - f));
}
// 2 ulp
ATTNC_INLINE v_double log2(v_double x) {
  v_double e, f, rest;
  log_parts(x, e, f, rest);
  return log_special(x, e + (f - rest) * 1.4426950408889634);
}

// The others go to libm lane by lane: 1 ulp, tanh and erf of some libms 2.5.
#define ATTNC_LANE_LOOP(name)                                                       \
  static inline v_double name(v_double x) {                                         \
    for (int i = 0; i < lanes<double>; i++) x[i] = __builtin_##name((double)x[i]);  \
    return x;                                                                       \
  }
ATTNC_LANE_LOOP(expm1)
ATTNC_LANE_LOOP(log1p)
ATTNC_LANE_LOOP(tanh)
ATTNC_LANE_LOOP(erf)
ATTNC_LANE_LOOP(sin)
ATTNC_LANE_LOOP(cos)
#undef ATTNC_LANE_LOOP
#define ATTNC_LANE_LOOP(name)                                                                             \
  static inline v_double name(v_double x, v_double y) {                                                   \
    for (int i = 0; i < lanes<double>; i++) x[i] = __builtin_##name((double)x[i], (double)y[i]);          \
    return x;                                                                                             \
  }
ATTNC_LANE_LOOP(atan2)
ATTNC_LANE_LOOP(pow)
#undef ATTNC_LANE_LOOP

// ---- scalars

#define ATTNC_SCALAR(name)                                                 \
  ATTNC_INLINE float name(float x) { return __builtin_##name##f(x); }      \
  ATTNC_INLINE double name(double x) { return __builtin_##name(x); }
ATTNC_SCALAR(exp)
ATTNC_SCALAR(exp2)
ATTNC_SCALAR(expm1)
ATTNC_SCALAR(log)
ATTNC_SCALAR(log2)
ATTNC_SCALAR(log1p)
ATTNC_SCALAR(tanh)
ATTNC_SCALAR(erf)
ATTNC_SCALAR(sin)
ATTNC_SCALAR(cos)
ATTNC_SCALAR(sqrt)
ATTNC_SCALAR(floor)
ATTNC_SCALAR(ceil)
#undef ATTNC_SCALAR
ATTNC_INLINE float abs(float x) { return __builtin_fabsf(x); }
ATTNC_INLINE double abs(double x) { return __builtin_fabs(x); }
ATTNC_INLINE float round(float x) { return __builtin_rintf(x); }  // half to even
ATTNC_INLINE double round(double x) { return __builtin_rint(x); }
ATTNC_INLINE float rsqrt(float x) { return 1.0f / __builtin_sqrtf(x); }
ATTNC_INLINE double rsqrt(double x) { return 1.0 / __builtin_sqrt(x); }
ATTNC_INLINE float atan2(float y, float x) { return __builtin_atan2f(y, x); }
ATTNC_INLINE double atan2(double y, double x) { return __builtin_atan2(y, x); }
ATTNC_INLINE float pow(float x, float y) { return __builtin_powf(x, y); }
ATTNC_INLINE double pow(double x, double y) { return __builtin_pow(x, y); }
ATTNC_INLINE float copysign(float x, float y) { return __builtin_copysignf(x, y); }
ATTNC_INLINE double copysign(double x, double y) { return __builtin_copysign(x, y); }

}  // namespace attnc
