// What products multiply: numbers, or pairs of narrow numbers where the machine multiplies and adds two at once.
#pragma once

#include "attnc_storage.h"

namespace attnc {

template <class O> struct operand {
  typedef vec<O> vector;
};
template <class O> using operands = typename operand<O>::vector;
ATTNC_INLINE v_float repeat(float x) { return splat<float>(x); }
ATTNC_INLINE v_double repeat(double x) { return splat<double>(x); }
ATTNC_INLINE void multiply_add(v_float &sum, v_float x, v_float y) { sum += x * y; }
ATTNC_INLINE void multiply_add(v_double &sum, v_double x, v_double y) { sum += x * y; }

#if defined(__AVX512BF16__) && ATTNC_VECTOR_BYTES == 64
#define ATTNC_PAIRS 1
// A factor of a product of bfloat16 tensors; other machines multiply as they compute.
typedef bf16 narrow_factor;
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define ATTNC_PAIRS 1
typedef bf16 narrow_factor;
#else
typedef float narrow_factor;
#endif

#ifdef ATTNC_PAIRS
// Two bfloat16 numbers that follow one another along the summed index, the first in the lower half.
struct pair {
  uint32_t bits;
};
struct v_pair {
  v_uint bits;
};
template <> struct operand<pair> {
  typedef v_pair vector;
};
ATTNC_INLINE v_pair load(const pair *p) { return v_pair{(v_uint)load((const int32_t *)p)}; }
ATTNC_INLINE v_pair repeat(pair x) { return v_pair{(v_uint)splat_ints<float>((int32_t)x.bits)}; }

#if ATTNC_VECTOR_BYTES == 64
ATTNC_INLINE void multiply_add(v_float &sum, v_pair x, v_pair y) {
  __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x.bits), "v"(y.bits));
}
// Rounded to the nearest; numbers below 2^-126 are 0, as products take them to be.
ATTNC_INLINE void store(bf16 *p, v_float x) {
  p_uint16 r;
  __asm__("vcvtneps2bf16 %1, %0" : "=v"(r) : "v"(x));
  memcpy(p, &r, sizeof r);
}
#else
ATTNC_INLINE void multiply_add(v_float &sum, v_pair x, v_pair y) {
  __asm__("bfdot %0.4s, %1.8h, %2.8h" : "+w"(sum) : "w"(x.bits), "w"(y.bits));
}
ATTNC_INLINE void store(bf16 *p, v_float x) { store_from(p, x); }
#endif
#endif

}  // namespace attnc
