// Elementary functions of float vectors, and those made of others, for every type.
#pragma once

#include "attnc_math.h"

namespace attnc {

// ---- exponentials

// 1.2 ulp; 1 where multiply-adds are fused
ATTNC_INLINE v_float exp2(v_float x) {
#if ATTNC_VECTOR_BYTES == 64
  const v_float r = fraction(x), n = x - r;
#else
  x = clamp(x, -151.0f, 129.0f);
  const v_float n = (x + whole_bias_f) - whole_bias_f, r = x - n;
#endif
  return scale(polynomial(r, 1.0f, 0.693147182f, 0.240226477f, 0.0555033237f, 0.00961843692f, 0.00133988739f,
                          0.00015353362f), n);
}
// x = n log(2) + r with |r| <= log(2) / 2. The first part of log(2) has few digits, so that its product is exact.
ATTNC_INLINE v_float reduce_by_log2(v_float x, v_float &n) {
  n = (x * 1.44269502f + whole_bias_f) - whole_bias_f;
  return (x - n * 0.693359375f) + n * 0.000212194442f;
}
// 1.2 ulp; 1 where multiply-adds are fused
ATTNC_INLINE v_float exp(v_float x) {
  v_float n;
  const v_float r = reduce_by_log2(clamp(x, -104.0f, 89.0f), n);
  return scale(polynomial(r, 1.0f, 1.0f, 0.49999994f, 0.166665211f, 0.041668389f, 0.00836871006f, 0.00138146128f), n);
}
// expm1 for -18 <= x <= 89, as half of it twice: 2^128 is no float.
ATTNC_INLINE v_float expm1_within(v_float x) {
  v_float n;
  const v_float r = reduce_by_log2(x, n);
  const v_float q = polynomial(r, 0.5f, 0.166666657f, 0.0416663624f, 0.00833338965f, 0.00139406172f, 0.000198458773f);
  const v_float half_power = (v_float)(((v_int)(n + whole_bias_f) + 126) << 23);
  const v_float half = half_power * (r + r * r * q) + (half_power - 0.5f);
  return half + half;
}
// 1.5 ulp
ATTNC_INLINE v_float expm1(v_float x) {
  const v_float r = expm1_within(clamp(x, -18.0f, 89.0f));
  return abs(x) < 0x1p-100f ? x : r;
}
// a / b for ordinary numbers, 1.5 ulp: a division takes as long as the rest of tanh.
ATTNC_INLINE v_float quotient(v_float a, v_float b) {
#if defined(__AVX512F__) && ATTNC_VECTOR_BYTES == 64 && !defined(__clang__)
  const v_float r = (v_float)__builtin_ia32_rcp14ps512_mask(b, b, (short)-1);
  const v_float q = a * r;
  return q + r * (a - q * b);
#else
  return a / b;
#endif
}
// 2.5 ulp
ATTNC_INLINE v_float tanh(v_float x) {
  const v_float a = abs(x), m = expm1_within(2.0f * first_if_smaller(splat(10.0f), a));
  return copysign(quotient(m, m + 2.0f), x);
}

// ---- logarithms

// x = m * 2^e with m within [sqrt(1/2), sqrt(2)); gives m - 1.
ATTNC_INLINE v_float log_reduce(v_float x, v_float &e) {
  const v_int tiny = x < 0x1p-126f;
  const v_int b = (v_int)(tiny ? x * 0x1p25f : x), exponent = (b - 0x3f3504f3) >> 23;
  e = convert_float(exponent + (tiny & -25));
  return (v_float)(b - (exponent << 23)) - 1.0f;
}
// log(1 + f) without its first term, f within the range above.
ATTNC_INLINE v_float log_rest(v_float f, v_float smallest) {
  const v_float q = polynomial(f, 0.333333313f, -0.250008196f, 0.200012267f, -0.166233569f, 0.142017558f,
                               -0.131601855f, 0.127615958f, -0.0763451234f);
  const v_float z = f * f;
  return (f * z * q + smallest) - 0.5f * z;
}
// 1 ulp
ATTNC_INLINE v_float log(v_float x) {
  v_float e;
  const v_float f = log_reduce(x, e);
  return log_special(x, e * 0.693359375f + (f + log_rest(f, e * -0.000212194442f)));
}
// 2 ulp; 1.2 where multiply-adds are fused
ATTNC_INLINE v_float log2(v_float x) {
  v_float e;
  const v_float f = log_reduce(x, e);
  const v_float q = polynomial(f, -0.721347332f, 0.480898231f, -0.360696584f, 0.288567483f, -0.239618406f,
                               0.204600453f, -0.191055998f, 0.186171904f, -0.1099592f);
  return log_special(x, e + (f * 1.44287109f + (f * -0.000176052861f + f * f * q)));
}
// 1.5 ulp. 1 + x = (1 + f) * 2^e, where f comes from x itself unless x is large.
ATTNC_INLINE v_float log1p(v_float x) {
  v_float e;
  const v_float u = 1.0f + x, from_sum = log_reduce(u, e);
  const v_float inverse = (v_float)((127 - convert_ints(e)) << 23);
  const v_float f = e > 60 ? from_sum : x * inverse + (inverse - 1.0f);
  const v_float r = log_special(u, e * 0.693359375f + (f + log_rest(f, e * -0.000212194442f)));
  return x == 0 ? x : r;
}

// ---- the error function: odd polynomial, then 1 - exp(polynomial)

// 2 ulp
ATTNC_INLINE v_float erf(v_float x) {
  const v_float a = abs(x), z = a * a;
  const v_float near = a + a * polynomial(z, 0.128379107f, -0.37612325f, 0.112801798f, -0.0267113112f, 0.0049175513f,
                                      -0.000563142181f);
  const v_float b = first_if_smaller(splat(3.95f), a);
  const v_float far = 1.0f - exp(-b * polynomial(b, 1.12863708f, 0.635198057f, 0.106159031f, -0.0236945506f,
                                                 0.00361033413f, -0.000314856094f, 1.04329029e-05f));
  return copysign(a < 1 ? near : far, x);
}

// ---- sines, and the angle of a point

// 3 ulp for |x| <= 10^4: pi / 2 in four parts, the products of the first three being exact; beyond, libm.
ATTNC_INLINE v_float sine_shifted(v_float x, int32_t quarter_turns) {
  const v_float biased = x * 0.636619747f + whole_bias_f, n = biased - whole_bias_f;
  const v_int quarter = (v_int)biased + quarter_turns;
  const v_float r = (((x - n * 1.5703125f) - n * 0.00048375129699707031f) - n * 7.5495336204767227e-08f) -
                    n * 2.5633440682570896e-12f;
  const v_float z = r * r;
  const v_float s = r * (1.0f + z * polynomial(z, -0.166666552f, 0.0083321603f, -0.000195152505f));
  const v_float c = (1.0f - 0.5f * z) + z * z * polynomial(z, 0.0416666456f, -0.00138873165f, 2.44331204e-05f);
  return (v_float)((v_int)((quarter & 1) != 0 ? c : s) ^ ((quarter & 2) << 30));
}
#define ATTNC_SINE(name, quarter_turns)                                                          \
  static inline v_float name(v_float x) {                                                        \
    const v_int ordinary = abs(x) <= 1e4f;                                                       \
    if (__builtin_expect(all(ordinary), 1)) return sine_shifted(x, quarter_turns);               \
    v_float r = sine_shifted(ordinary ? x : v_float{}, quarter_turns);                           \
    for (int i = 0; i < lanes<float>; i++)                                                       \
      if (!ordinary[i]) r[i] = __builtin_##name##f((float)x[i]);                                 \
    return r;                                                                                    \
  }
ATTNC_SINE(sin, 0)
ATTNC_SINE(cos, 1)
#undef ATTNC_SINE

// 2 ulp
static inline v_float atan2(v_float y, v_float x) {
  const v_float a = abs(y), b = abs(x), hi = first_if_larger(a, b), lo = first_if_smaller(a, b);
  const v_float ratio = hi == 0 ? v_float{} : lo == hi ? splat(1.0f) : lo / hi;
  const v_float z = ratio * ratio;
  const v_float p = polynomial(z, -0.333331525f, 0.199937731f, -0.142110556f, 0.106660046f, -0.0755221471f,
                               0.0432118662f, -0.0163679328f, 0.00292069325f);
  v_float r = ratio + ratio * z * p;
  r = a > b ? 1.57079637f - (r + 4.371139e-08f) : r;
  r = (v_int)x < 0 ? 3.14159274f - (r + 8.742278e-08f) : r;
  return ((a != a) | (b != b)) ? x + y : copysign(r, y);
}

// ---- powers

// |x|^y through double, for all but the special cases.
ATTNC_INLINE v_float power_of_magnitude(v_float x, v_float y) {
  h_float x_lo, x_hi, y_lo, y_hi;
  split(x, x_lo, x_hi);
  split(y, y_lo, y_hi);
  const v_double lo = exp2(widen_half(y_lo) * log2(widen_half(x_lo)));
  const v_double hi = exp2(widen_half(y_hi) * log2(widen_half(x_hi)));
  return join<v_float>(__builtin_convertvector(lo, h_float), __builtin_convertvector(hi, h_float));
}
// 0.51 ulp
static inline v_float pow(v_float x, v_float y) {
  const v_float a = abs(x), infinity = splat(__builtin_inff());
  v_float r = power_of_magnitude(a, y);
  const v_float half = y * 0.5f;
  const v_int whole = floor(y) == y, odd = whole & (floor(half) != half) & (abs(y) < infinity);
  r = (v_float)((v_int)r ^ (odd & (v_int)x & INT32_MIN));
  r = (x < 0) & (a < infinity) & ~whole ? splat(__builtin_nanf("")) : r;
  r = ((a == 1) & (abs(y) == infinity)) ? splat(1.0f) : r;
  return ((x == 1) | (y == 0)) ? splat(1.0f) : r;
}

// ---- made of others, for scalars and vectors: 2.5 ulp for sigmoid, 2 for the two others

template <class V> ATTNC_INLINE V sigmoid_of(V x) {
  const V e = exp(-abs(x)), one = V{} + 1;
  return select(x < 0, e, one) / (one + e);
}
template <class V> ATTNC_INLINE V softplus_of(V x) { return vmax(x, V{}) + log1p(exp(-abs(x))); }
template <class V> ATTNC_INLINE V log_sigmoid_of(V x) { return vmin(x, V{}) - log1p(exp(-abs(x))); }
#define ATTNC_COMPOSED(V)                                            \
  ATTNC_INLINE V sigmoid(V x) { return sigmoid_of(x); }              \
  ATTNC_INLINE V softplus(V x) { return softplus_of(x); }            \
  ATTNC_INLINE V log_sigmoid(V x) { return log_sigmoid_of(x); }
ATTNC_COMPOSED(float)
ATTNC_COMPOSED(double)
ATTNC_COMPOSED(v_float)
ATTNC_COMPOSED(v_double)
#undef ATTNC_COMPOSED

}  // namespace attnc
