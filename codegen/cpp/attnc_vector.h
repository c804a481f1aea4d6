// Vectors of the machine's width: types, loads, masks, conversions, reductions across lanes.
//
// vec<T> holds lanes<T> values of T (float or double); ints<T> as many signed integers of T's width, which is
// also what comparisons give (lanes 0 or -1); longs<T> as many int64_t. Operators come from the compiler's vector
// extension. Nothing assumes finite numbers. Inline assembly stands in for intrinsics: it spells the same in
// every GCC and Clang, and the intrinsics' header alone would cost half a second of compile time.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef ATTNC_VECTOR_BYTES
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define ATTNC_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__F16C__) && defined(__FMA__)
#define ATTNC_VECTOR_BYTES 32
#else
#define ATTNC_VECTOR_BYTES 16
#endif
#endif

// How assembly names a register as a whole vector, a half and a quarter; defined where the AVX forms can be used.
#if ATTNC_VECTOR_BYTES == 64
#define ATTNC_WHOLE "%g"
#define ATTNC_HALF "%t"
#define ATTNC_QUARTER "%x"
#elif ATTNC_VECTOR_BYTES == 32
#define ATTNC_WHOLE "%t"
#define ATTNC_HALF "%x"
#define ATTNC_QUARTER "%x"
#endif

#define ATTNC_INLINE static inline __attribute__((always_inline))
// What 64-bit lanes compare to: the two compilers choose different names for the same integer.
#ifdef __clang__
#define ATTNC_LANE_LONG long long
#define ATTNC_UNROLL _Pragma("clang loop unroll(full)")
#else
#define ATTNC_LANE_LONG int64_t
#define ATTNC_UNROLL _Pragma("GCC unroll 64")
#pragma GCC diagnostic ignored "-Wpsabi"  // all these functions are inlined: no vector crosses a call
#endif

namespace attnc {

#define ATTNC_VECTOR(element, bytes) element __attribute__((vector_size(bytes)))
typedef ATTNC_VECTOR(float, ATTNC_VECTOR_BYTES) v_float;
typedef ATTNC_VECTOR(double, ATTNC_VECTOR_BYTES) v_double;
typedef ATTNC_VECTOR(int32_t, ATTNC_VECTOR_BYTES) v_int;
typedef ATTNC_VECTOR(uint32_t, ATTNC_VECTOR_BYTES) v_uint;
typedef ATTNC_VECTOR(ATTNC_LANE_LONG, ATTNC_VECTOR_BYTES) v_long;
typedef ATTNC_VECTOR(uint64_t, ATTNC_VECTOR_BYTES) v_ulong;
typedef ATTNC_VECTOR(float, ATTNC_VECTOR_BYTES / 2) h_float;
typedef ATTNC_VECTOR(int32_t, ATTNC_VECTOR_BYTES / 2) h_int;

// A value as it is, rounded: compilers must not fuse the multiplication that made it with what follows.
#if defined(__AVX512F__)
#define ATTNC_IN_REGISTER "+v"
#elif defined(__SSE2__)
#define ATTNC_IN_REGISTER "+x"
#elif defined(__aarch64__)
#define ATTNC_IN_REGISTER "+w"
#else
#define ATTNC_IN_REGISTER "+m"
#endif
template <class V> ATTNC_INLINE V rounded(V x) {
  __asm__("" : ATTNC_IN_REGISTER(x));
  return x;
}

// As many int64_t as v_float has lanes. A struct of two machine vectors: compilers turn comparisons of vectors
// wider than the machine's into scalar code. Its operators are in attnc_integer.h.
struct wide {
  v_long lo, hi;
  int64_t operator[](int i) const { return i < (int)(sizeof lo / 8) ? lo[i] : hi[i - (int)(sizeof lo / 8)]; }
};

template <class T> struct shape;
template <> struct shape<float> {
  typedef v_float values;
  typedef v_int ints;
  typedef int32_t integer;
  typedef v_uint bits;
  typedef wide longs;
};
template <> struct shape<double> {
  typedef v_double values;
  typedef v_long ints;
  typedef int64_t integer;
  typedef v_ulong bits;
  typedef v_long longs;
};
template <class T> using vec = typename shape<T>::values;
template <class T> using ints = typename shape<T>::ints;
template <class T> using bits = typename shape<T>::bits;
template <class T> using longs = typename shape<T>::longs;
template <class T> constexpr int lanes = ATTNC_VECTOR_BYTES / (int)sizeof(T);

// ---- making vectors

// x - 0 is x for every x, -0 and NaN included, and compiles to a broadcast.
template <class T> ATTNC_INLINE vec<T> splat(T x) { return x - vec<T>{}; }
template <class T> ATTNC_INLINE ints<T> splat_ints(typename shape<T>::integer x) { return x + ints<T>{}; }
ATTNC_INLINE v_long splat_longs_of(double, int64_t x) { return x + v_long{}; }
ATTNC_INLINE wide splat_longs_of(float, int64_t x) { return wide{x + v_long{}, x + v_long{}}; }
template <class T> ATTNC_INLINE longs<T> splat_longs(int64_t x) { return splat_longs_of(T(), x); }

template <class T> ATTNC_INLINE ints<T> iota() {
  ints<T> r;
  ATTNC_UNROLL for (int i = 0; i < lanes<T>; i++) r[i] = i;
  return r;
}
ATTNC_INLINE v_long iota_longs_of(double) { return iota<double>(); }
ATTNC_INLINE wide iota_longs_of(float) { return wide{iota<double>(), iota<double>() + lanes<double>}; }
template <class T> ATTNC_INLINE longs<T> iota_longs() { return iota_longs_of(T()); }

// Loads and stores at any alignment of at least one element; the aligned ones ask for a whole vector's.
typedef v_float u_float __attribute__((aligned(4), may_alias));
typedef v_double u_double __attribute__((aligned(8), may_alias));
typedef v_int u_int __attribute__((aligned(4), may_alias));
typedef v_long u_long __attribute__((aligned(8), may_alias));
ATTNC_INLINE v_float load(const float *p) { return *(const u_float *)p; }
ATTNC_INLINE v_double load(const double *p) { return *(const u_double *)p; }
ATTNC_INLINE v_int load(const int32_t *p) { return *(const u_int *)p; }
ATTNC_INLINE v_long load(const int64_t *p) { return *(const u_long *)p; }
ATTNC_INLINE void store(float *p, v_float x) { *(u_float *)p = x; }
ATTNC_INLINE void store(double *p, v_double x) { *(u_double *)p = x; }
ATTNC_INLINE void store(int32_t *p, v_int x) { *(u_int *)p = x; }
ATTNC_INLINE void store(int64_t *p, v_long x) { *(u_long *)p = x; }
ATTNC_INLINE v_float load_aligned(const float *p) { return *(const v_float *)p; }
ATTNC_INLINE v_double load_aligned(const double *p) { return *(const v_double *)p; }
ATTNC_INLINE void store_aligned(float *p, v_float x) { *(v_float *)p = x; }
ATTNC_INLINE void store_aligned(double *p, v_double x) { *(v_double *)p = x; }

// ---- halves

template <class H, class V> ATTNC_INLINE void split(V x, H &lo, H &hi) {
  memcpy(&lo, &x, sizeof(H));
  memcpy(&hi, (const char *)&x + sizeof(H), sizeof(H));
}
template <class V, class H> ATTNC_INLINE V join(H lo, H hi) {
  V r;
#if ATTNC_VECTOR_BYTES == 64
  __asm__("vinsertf64x4 $1, %t2, %g1, %g0" : "=v"(r) : "v"(lo), "v"(hi));
#elif ATTNC_VECTOR_BYTES == 32
  __asm__("vinsertf128 $1, %x2, %t1, %t0" : "=x"(r) : "x"(lo), "x"(hi));
#else
  memcpy(&r, &lo, sizeof(H));
  memcpy((char *)&r + sizeof(H), &hi, sizeof(H));
#endif
  return r;
}
// One widening instruction where there is one: GCC's own conversion of a half takes four.
#if defined(ATTNC_WHOLE) && !defined(__clang__)
#define ATTNC_WIDEN(name, result, argument, instruction, source)                               \
  ATTNC_INLINE result name(argument x) {                                                       \
    result r;                                                                                  \
    __asm__(instruction " " source "1, " ATTNC_WHOLE "0" : "=v"(r) : "v"(x));                  \
    return r;                                                                                  \
  }
#else
#define ATTNC_WIDEN(name, result, argument, instruction, source) \
  ATTNC_INLINE result name(argument x) { return __builtin_convertvector(x, result); }
#endif
ATTNC_WIDEN(widen_half, v_double, h_float, "vcvtps2pd", ATTNC_HALF)
ATTNC_WIDEN(widen_half, v_long, h_int, "vpmovsxdq", ATTNC_HALF)

// ---- shuffles: GCC takes the lanes' numbers as a vector, Clang as constants

#ifdef __clang__
template <class N, N... i> struct lane_numbers {
  static constexpr int L = sizeof...(i);
  template <class V> ATTNC_INLINE V low(V a, V b) { return __builtin_shufflevector(a, b, (i / 2 + i % 2 * L)...); }
  template <class V> ATTNC_INLINE V high(V a, V b) {
    return __builtin_shufflevector(a, b, ((i + L) / 2 + i % 2 * L)...);
  }
  template <class V> ATTNC_INLINE V even(V a, V b) { return __builtin_shufflevector(a, b, (2 * i)...); }
};
template <int n> using all_lanes = __make_integer_seq<lane_numbers, int, n>;
#endif

template <class T> ATTNC_INLINE vec<T> exchange(vec<T> x, int distance) {  // lane i becomes lane i ^ distance
#ifdef __clang__
  vec<T> r;
  ATTNC_UNROLL for (int i = 0; i < lanes<T>; i++) r[i] = x[i ^ distance];
  return r;
#else
  return __builtin_shuffle(x, iota<T>() ^ distance);
#endif
}
// a0 b0 a1 b1 ...: lo is the first vector of that, hi the second.
template <class T> ATTNC_INLINE void interleave(vec<T> a, vec<T> b, vec<T> &lo, vec<T> &hi) {
#ifdef __clang__
  lo = all_lanes<lanes<T>>::low(a, b);
  hi = all_lanes<lanes<T>>::high(a, b);
#else
  const ints<T> order = iota<T>() / 2 + (iota<T>() & 1) * lanes<T>;
  lo = __builtin_shuffle(a, b, order);
  hi = __builtin_shuffle(a, b, order + lanes<T> / 2);
#endif
}
ATTNC_INLINE v_int even_lanes(v_int a, v_int b) {  // a0 a2 ... b0 b2 ...
#ifdef __clang__
  return all_lanes<lanes<float>>::even(a, b);
#else
  return __builtin_shuffle(a, b, iota<float>() * 2);
#endif
}

// ---- conversions; a mask converts like the integers 0 and -1

ATTNC_INLINE v_int narrow_longs(wide x) { return even_lanes((v_int)x.lo, (v_int)x.hi); }
ATTNC_INLINE v_long narrow_longs(v_long x) { return x; }
ATTNC_INLINE wide widen_ints(v_int x) {
  h_int lo, hi;
  split(x, lo, hi);
  return wide{widen_half(lo), widen_half(hi)};
}
ATTNC_INLINE v_float convert_float(v_int x) { return __builtin_convertvector(x, v_float); }
ATTNC_INLINE v_double convert_float(v_long x) { return __builtin_convertvector(x, v_double); }
ATTNC_INLINE v_float convert_float(wide x) {
  return join<v_float>(__builtin_convertvector(x.lo, h_float), __builtin_convertvector(x.hi, h_float));
}
ATTNC_INLINE v_int convert_ints(v_float x) { return __builtin_convertvector(x, v_int); }
ATTNC_INLINE v_long convert_ints(v_double x) { return __builtin_convertvector(x, v_long); }
ATTNC_INLINE v_int convert_ints(wide x) { return narrow_longs(x); }
ATTNC_INLINE v_int convert_ints(v_int x) { return x; }
ATTNC_INLINE v_long convert_ints(v_long x) { return x; }
ATTNC_INLINE wide convert_longs(v_int x) { return widen_ints(x); }
ATTNC_INLINE wide convert_longs(wide x) { return x; }
ATTNC_INLINE v_long convert_longs(v_long x) { return x; }
ATTNC_INLINE v_long convert_longs(v_double x) { return convert_ints(x); }
ATTNC_INLINE wide convert_longs(v_float x) {
  h_float lo, hi;
  split(x, lo, hi);
  return wide{__builtin_convertvector(lo, v_long), __builtin_convertvector(hi, v_long)};
}
template <class T, class I> ATTNC_INLINE vec<T> to_float(I x) { return convert_float(x); }
// Values are truncated; one that does not fit, or NaN, gives an unspecified integer.
template <class T, class X> ATTNC_INLINE ints<T> to_ints(X x) { return convert_ints(x); }
template <class T, class X> ATTNC_INLINE longs<T> to_longs(X x) { return convert_longs(x); }

// ---- masks

#define ATTNC_SELECT(mask, type) \
  ATTNC_INLINE type select(mask m, type a, type b) { return m ? a : b; }
ATTNC_SELECT(v_int, v_float)
ATTNC_SELECT(v_int, v_int)
ATTNC_SELECT(v_long, v_double)
ATTNC_SELECT(v_long, v_long)
ATTNC_SELECT(bool, float)
ATTNC_SELECT(bool, double)
ATTNC_SELECT(bool, int64_t)
ATTNC_INLINE wide select(wide m, wide a, wide b) { return wide{m.lo ? a.lo : b.lo, m.hi ? a.hi : b.hi}; }
ATTNC_INLINE wide select(v_int m, wide a, wide b) { return select(widen_ints(m), a, b); }
ATTNC_INLINE v_float select(wide m, v_float a, v_float b) { return narrow_longs(m) ? a : b; }
ATTNC_INLINE v_int select(wide m, v_int a, v_int b) { return narrow_longs(m) ? a : b; }

// One bit for each lane of a mask.
#if ATTNC_VECTOR_BYTES == 64
typedef uint16_t lane_bits;
ATTNC_INLINE lane_bits mask_bits(v_int m) {
  uint16_t r;
  __asm__("vpmovd2m %1, %0" : "=Yk"(r) : "v"(m));
  return r;
}
ATTNC_INLINE lane_bits mask_bits(v_long m) {
  uint8_t r;
  __asm__("vpmovq2m %1, %0" : "=Yk"(r) : "v"(m));
  return r;
}
#elif ATTNC_VECTOR_BYTES == 32
typedef uint32_t lane_bits;
ATTNC_INLINE lane_bits mask_bits(v_int m) {
  uint32_t r;
  __asm__("vmovmskps %1, %0" : "=r"(r) : "x"(m));
  return r;
}
ATTNC_INLINE lane_bits mask_bits(v_long m) {
  uint32_t r;
  __asm__("vmovmskpd %1, %0" : "=r"(r) : "x"(m));
  return r;
}
#else
typedef uint32_t lane_bits;
ATTNC_INLINE lane_bits mask_bits(v_int m) { return (m[0] & 1) | (m[1] & 2) | (m[2] & 4) | (m[3] & 8); }
ATTNC_INLINE lane_bits mask_bits(v_long m) { return (m[0] & 1) | (m[1] & 2); }
#endif
ATTNC_INLINE bool any(v_int m) { return mask_bits(m) != 0; }
ATTNC_INLINE bool any(v_long m) { return mask_bits(m) != 0; }
ATTNC_INLINE bool any(wide m) { return any(m.lo | m.hi); }
ATTNC_INLINE bool any(bool m) { return m; }
ATTNC_INLINE bool all(v_int m) { return mask_bits(m) == (lane_bits)((1u << lanes<float>) - 1); }
ATTNC_INLINE bool all(v_long m) { return mask_bits(m) == (lane_bits)((1u << lanes<double>) - 1); }
ATTNC_INLINE bool all(wide m) { return all(m.lo & m.hi); }
ATTNC_INLINE bool all(bool m) { return m; }

// ---- largest and smallest

// The x86 instruction: a > b ? a : b, hence b where either is NaN. GCC does not always find it by itself.
#ifdef ATTNC_WHOLE
#define ATTNC_PICK(name, op, V, instruction)                                   \
  ATTNC_INLINE V name(V a, V b) {                                              \
    V r;                                                                       \
    __asm__(instruction " %2, %1, %0" : "=v"(r) : "v"(a), "v"(b));             \
    return r;                                                                  \
  }
#else
#define ATTNC_PICK(name, op, V, instruction) \
  ATTNC_INLINE V name(V a, V b) { return a op b ? a : b; }
#endif
ATTNC_PICK(first_if_larger, >, v_float, "vmaxps")
ATTNC_PICK(first_if_larger, >, v_double, "vmaxpd")
ATTNC_PICK(first_if_smaller, <, v_float, "vminps")
ATTNC_PICK(first_if_smaller, <, v_double, "vminpd")
#undef ATTNC_PICK

// NaN if either is NaN, as torch.amax has it; of 0 and -0, either. Picked in both orders and or-ed: equal bits stay
// and a NaN in either stays NaN.
#if defined(__aarch64__)
#define ATTNC_EXTREME(name, pick, instruction)                                        \
  ATTNC_INLINE v_float name(v_float a, v_float b) {                                   \
    v_float r;                                                                        \
    __asm__(instruction " %0.4s, %1.4s, %2.4s" : "=w"(r) : "w"(a), "w"(b));           \
    return r;                                                                         \
  }                                                                                   \
  ATTNC_INLINE v_double name(v_double a, v_double b) {                                \
    v_double r;                                                                       \
    __asm__(instruction " %0.2d, %1.2d, %2.2d" : "=w"(r) : "w"(a), "w"(b));           \
    return r;                                                                         \
  }
#else
#define ATTNC_EXTREME(name, pick, instruction)                                                                    \
  ATTNC_INLINE v_float name(v_float a, v_float b) { return (v_float)((v_int)pick(a, b) | (v_int)pick(b, a)); }    \
  ATTNC_INLINE v_double name(v_double a, v_double b) { return (v_double)((v_long)pick(a, b) | (v_long)pick(b, a)); }
#endif
ATTNC_EXTREME(vmax, first_if_larger, "fmax")
ATTNC_EXTREME(vmin, first_if_smaller, "fmin")
#undef ATTNC_EXTREME
ATTNC_INLINE float vmax(float a, float b) { return a > b || a != a ? a : b; }
ATTNC_INLINE double vmax(double a, double b) { return a > b || a != a ? a : b; }
ATTNC_INLINE float vmin(float a, float b) { return a < b || a != a ? a : b; }
ATTNC_INLINE double vmin(double a, double b) { return a < b || a != a ? a : b; }

// ---- reductions across lanes: halves are folded onto each other, always in the same order

#define ATTNC_REDUCE(name, element, fold)                                                        \
  ATTNC_INLINE element name(vec<element> x) {                                                    \
    ATTNC_UNROLL for (int distance = lanes<element> / 2; distance > 0; distance /= 2) {          \
      const vec<element> y = exchange<element>(x, distance);                                     \
      x = fold;                                                                                  \
    }                                                                                            \
    return x[0];                                                                                 \
  }
ATTNC_REDUCE(hsum, float, x + y)
ATTNC_REDUCE(hsum, double, x + y)
ATTNC_REDUCE(hprod, float, (x * y))
ATTNC_REDUCE(hprod, double, (x * y))
ATTNC_REDUCE(hmax, float, vmax(x, y))
ATTNC_REDUCE(hmax, double, vmax(x, y))
ATTNC_REDUCE(hmin, float, vmin(x, y))
ATTNC_REDUCE(hmin, double, vmin(x, y))

}  // namespace attnc
