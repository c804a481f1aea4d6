// Elements in memory: the narrow floating-point types, and their conversion between memory and registers.
//
// S is a storage type (float, double, bf16, f16, int8/16/32/64_t, uint8_t, bool), T the type computed in. Widening
// is exact wherever T can hold the value; narrowing rounds to nearest, ties to even, overflow giving infinity and
// NaN staying NaN. A double is narrowed to bf16 or f16 through float, as in torch; to an integer by truncation.
#pragma once

#include "attnc_integer.h"

namespace attnc {

struct bf16 { uint16_t pattern; };
struct f16 { uint16_t pattern; };

// As many narrow elements as v_float has lanes.
#define ATTNC_PIECE(element) ATTNC_VECTOR(element, ATTNC_VECTOR_BYTES / 4 * sizeof(element))
typedef ATTNC_PIECE(uint16_t) p_uint16;
typedef ATTNC_PIECE(int16_t) p_int16;
typedef ATTNC_PIECE(uint8_t) p_uint8;
typedef ATTNC_PIECE(int8_t) p_int8;
#undef ATTNC_PIECE

template <class V> ATTNC_INLINE V load_bytes(const void *p) {
  V r;
  memcpy(&r, p, sizeof r);
  return r;
}
template <class V, class X> ATTNC_INLINE V same_bits(X x) { return load_bytes<V>(&x); }

// ---- bit patterns: F and U are float and uint32_t, or vectors of them

template <class F, class U> ATTNC_INLINE F widen_bf16(U x) { return same_bits<F>(U(x << 16)); }
template <class F, class U> ATTNC_INLINE U narrow_bf16(F x) {
  const U b = same_bits<U>(x);
  return x == x ? U((b + 0x7fff + ((b >> 16) & 1)) >> 16) : U((b >> 16) | 0x40);
}
// A half's exponent and fraction, moved to where a float has its own, are the value times 2^-112, subnormals too.
template <class F, class U> ATTNC_INLINE F widen_f16(U x) {
  const U scaled = same_bits<U>(F(same_bits<F>(U((x & 0x7fff) << 13)) * 0x1p112f));
  return same_bits<F>(U(((x & 0x7c00) == 0x7c00 ? U(scaled | 0x7f800000) : scaled) | ((x & 0x8000) << 16)));
}
// Where the half is subnormal, adding 0.5 leaves its bits, rounded, at the end of the float.
template <class F, class U> ATTNC_INLINE U narrow_f16(F x) {
  const U b = same_bits<U>(x), m = b & 0x7fffffff;
  const U normal = U((m - 0x38000000 + 0xfff + ((m >> 13) & 1)) >> 13);
  const U subnormal = same_bits<U>(F(same_bits<F>(m) + 0.5f)) - 0x3f000000;
  const U infinity_or_nan = m > 0x7f800000 ? U(((m >> 13) & 0x3ff) | 0x7e00) : U((m & 0) | 0x7c00);
  const U magnitude = m < 0x38800000 ? subnormal : normal;
  return (m >= 0x477ff000 ? infinity_or_nan : magnitude) | ((b >> 16) & 0x8000);
}

// ---- scalars

template <class T, class S> struct scalar {
  ATTNC_INLINE T widen(S x) { return (T)x; }
  ATTNC_INLINE S narrow(T x) { return (S)x; }
};
template <class T> struct scalar<T, bf16> {
  ATTNC_INLINE T widen(bf16 x) { return (T)widen_bf16<float, uint32_t>(x.pattern); }
  ATTNC_INLINE bf16 narrow(T x) { return bf16{(uint16_t)narrow_bf16<float, uint32_t>((float)x)}; }
};
template <class T> struct scalar<T, f16> {
  ATTNC_INLINE T widen(f16 x) { return (T)widen_f16<float, uint32_t>(x.pattern); }
  ATTNC_INLINE f16 narrow(T x) { return f16{(uint16_t)narrow_f16<float, uint32_t>((float)x)}; }
};
template <class T> struct scalar<T, bool> {
  ATTNC_INLINE T widen(bool x) { return (T)x; }
  ATTNC_INLINE bool narrow(T x) { return x != 0; }
};
template <class T, class S> ATTNC_INLINE T widen(S x) { return scalar<T, S>::widen(x); }
template <class S, class T> ATTNC_INLINE S narrow(T x) { return scalar<T, S>::narrow(x); }

// ---- pieces: narrow elements in a register, to and from v_float and v_int

ATTNC_WIDEN(widen_piece, v_int, p_int16, "vpmovsxwd", ATTNC_HALF)
ATTNC_WIDEN(widen_piece, v_int, p_uint16, "vpmovzxwd", ATTNC_HALF)
#ifdef ATTNC_WHOLE
ATTNC_WIDEN(widen_piece, v_int, p_int8, "vpmovsxbd", ATTNC_QUARTER)
ATTNC_WIDEN(widen_piece, v_int, p_uint8, "vpmovzxbd", ATTNC_QUARTER)
ATTNC_INLINE v_float widen_f16_piece(p_uint16 x) {
  v_float r;
  __asm__("vcvtph2ps " ATTNC_HALF "1, " ATTNC_WHOLE "0" : "=v"(r) : "v"(x));
  return r;
}
ATTNC_INLINE p_uint16 narrow_f16_piece(v_float x) {
  p_uint16 r;
  __asm__("vcvtps2ph $0, " ATTNC_WHOLE "1, " ATTNC_HALF "0" : "=v"(r) : "v"(x));
  return r;
}
#else
ATTNC_INLINE v_int widen_piece(p_int8 x) { return widen_piece(__builtin_convertvector(x, p_int16)); }
ATTNC_INLINE v_int widen_piece(p_uint8 x) { return widen_piece(__builtin_convertvector(x, p_uint16)); }
ATTNC_INLINE v_float widen_f16_piece(p_uint16 x) { return widen_f16<v_float, v_uint>((v_uint)widen_piece(x)); }
ATTNC_INLINE p_uint16 narrow_f16_piece(v_float x) {
  return __builtin_convertvector((narrow_f16<v_float, v_uint>(x)), p_uint16);
}
#endif
#undef ATTNC_WIDEN
ATTNC_INLINE p_uint16 narrow_piece(v_uint x) {
#if ATTNC_VECTOR_BYTES == 64
  p_uint16 r;
  __asm__("vpmovdw %1, %0" : "=v"(r) : "v"(x));
  return r;
#else
  return __builtin_convertvector(x, p_uint16);
#endif
}
ATTNC_INLINE p_uint8 narrow_to_bytes(v_int x) { return __builtin_convertvector(narrow_piece((v_uint)x), p_uint8); }

// ---- loads: raw<T>::load is what lanes<T> consecutive elements are in registers, before any other conversion

#define ATTNC_RAW(result, S) ATTNC_INLINE result load(const S *p)
template <class T> struct raw;
template <> struct raw<float> {
  ATTNC_RAW(v_float, float) { return attnc::load(p); }
  ATTNC_RAW(v_float, double) {
    const v_double lo = attnc::load(p), hi = attnc::load(p + lanes<double>);
    return join<v_float>(__builtin_convertvector(lo, h_float), __builtin_convertvector(hi, h_float));
  }
  ATTNC_RAW(v_float, bf16) { return widen_bf16<v_float, v_uint>((v_uint)widen_piece(load_bytes<p_uint16>(p))); }
  ATTNC_RAW(v_float, f16) { return widen_f16_piece(load_bytes<p_uint16>(p)); }
  ATTNC_RAW(v_int, int8_t) { return widen_piece(load_bytes<p_int8>(p)); }
  ATTNC_RAW(v_int, uint8_t) { return widen_piece(load_bytes<p_uint8>(p)); }
  ATTNC_RAW(v_int, bool) { return (widen_piece(load_bytes<p_uint8>(p)) != 0) & 1; }
  ATTNC_RAW(v_int, int16_t) { return widen_piece(load_bytes<p_int16>(p)); }
  ATTNC_RAW(v_int, int32_t) { return attnc::load(p); }
  ATTNC_RAW(wide, int64_t) { return wide{attnc::load(p), attnc::load(p + lanes<double>)}; }
};
template <> struct raw<double> {
  ATTNC_RAW(v_double, double) { return attnc::load(p); }
  ATTNC_RAW(v_double, float) { return widen_half(load_bytes<h_float>(p)); }
  ATTNC_RAW(v_long, int64_t) { return attnc::load(p); }
  ATTNC_RAW(v_long, int32_t) { return widen_half(load_bytes<h_int>(p)); }
  ATTNC_INLINE v_double low_half(v_float x) { return widen_half(load_bytes<h_float>(&x)); }
  ATTNC_INLINE v_long low_half(v_int x) { return widen_half(load_bytes<h_int>(&x)); }
  template <class S> ATTNC_INLINE auto load(const S *p) {
    S padded[lanes<float>] = {};
    memcpy(padded, p, lanes<double> * sizeof(S));
    return low_half(raw<float>::load(padded));
  }
};
#undef ATTNC_RAW
ATTNC_INLINE v_float convert_float(v_float x) { return x; }
ATTNC_INLINE v_double convert_float(v_double x) { return x; }

// ---- stores

template <class P> ATTNC_INLINE void store_bytes(void *p, P x) { memcpy(p, &x, sizeof x); }
ATTNC_INLINE void store_from(float *p, v_float x) { store(p, x); }
ATTNC_INLINE void store_from(double *p, v_float x) {
  h_float lo, hi;
  split(x, lo, hi);
  store(p, widen_half(lo));
  store(p + lanes<double>, widen_half(hi));
}
ATTNC_INLINE void store_from(bf16 *p, v_float x) { store_bytes(p, narrow_piece(narrow_bf16<v_float, v_uint>(x))); }
ATTNC_INLINE void store_from(f16 *p, v_float x) { store_bytes(p, narrow_f16_piece(x)); }
ATTNC_INLINE void store_from(int8_t *p, v_float x) { store_bytes(p, narrow_to_bytes(convert_ints(x))); }
ATTNC_INLINE void store_from(uint8_t *p, v_float x) { store_bytes(p, narrow_to_bytes(convert_ints(x))); }
ATTNC_INLINE void store_from(bool *p, v_float x) { store_bytes(p, narrow_to_bytes((x != 0) & 1)); }
ATTNC_INLINE void store_from(int16_t *p, v_float x) { store_bytes(p, narrow_piece((v_uint)convert_ints(x))); }
ATTNC_INLINE void store_from(int32_t *p, v_float x) { store(p, convert_ints(x)); }
ATTNC_INLINE void store_from(int64_t *p, v_float x) { store_bytes(p, convert_longs(x)); }
ATTNC_INLINE void store_from(double *p, v_double x) { store(p, x); }
ATTNC_INLINE void store_from(float *p, v_double x) { store_bytes(p, __builtin_convertvector(x, h_float)); }
template <class S> ATTNC_INLINE void store_from(S *p, v_double x) {
  for (int i = 0; i < lanes<double>; i++) p[i] = narrow<S>((double)x[i]);
}

}  // namespace attnc
