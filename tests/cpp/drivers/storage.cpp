// Converting loads and stores. Names end in the type computed in (f, d) and the storage type.
#include "attnc_access.h"
using namespace attnc;

ATTNC_INLINE void put(int64_t *p, wide x) { store(p, x.lo), store(p + lanes<double>, x.hi); }
ATTNC_INLINE void put(int64_t *p, v_long x) { store(p, x); }
ATTNC_INLINE void put(int32_t *p, v_int x) { store(p, x); }
ATTNC_INLINE wide get_longs(const int64_t *p, float) { return wide{load(p), load(p + lanes<double>)}; }
ATTNC_INLINE v_long get_longs(const int64_t *p, double) { return load(p); }

// Each over `count` elements, a whole number of vectors.
#define VALUES(T, t, S, s)                                                                            \
  void load_as_##t##_##s(const S *p, T *r, int64_t count) {                                           \
    for (int64_t i = 0; i < count; i += lanes<T>) store(r + i, load_as<T>(p + i));                    \
  }                                                                                                   \
  void load_first_##t##_##s(const S *p, int64_t n, T *r) { store(r, load_first<T>(p, n)); }           \
  void load_strided_##t##_##s(const S *p, int64_t stride, T *r) { store(r, load_strided<T>(p, stride)); } \
  void gather_##t##_##s(const S *p, const int64_t *offsets, const int64_t *mask, T *r) {              \
    store(r, gather<T>(p, get_longs(offsets, T()), get_longs(mask, T()) != 0));                       \
  }                                                                                                   \
  void gather_narrow_##t##_##s(const S *p, const int64_t *offsets, const int64_t *mask, T *r) {       \
    store(r, gather<T>(p, get_longs(offsets, T()), to_ints<T>(get_longs(mask, T())) != 0));           \
  }                                                                                                   \
  void store_as_##t##_##s(S *p, const T *x, int64_t count) {                                          \
    for (int64_t i = 0; i < count; i += lanes<T>) store_as(p + i, load(x + i));                       \
  }                                                                                                   \
  void store_first_##t##_##s(S *p, int64_t n, const T *x) { store_first(p, n, load(x)); }             \
  void store_strided_##t##_##s(S *p, int64_t stride, const T *x) { store_strided(p, stride, load(x)); } \
  void widen_##t##_##s(const S *p, T *r, int64_t count) {                                             \
    for (int64_t i = 0; i < count; i++) r[i] = widen<T>(p[i]);                                        \
  }                                                                                                   \
  void narrow_##t##_##s(S *p, const T *x, int64_t count) {                                            \
    for (int64_t i = 0; i < count; i++) p[i] = narrow<S>(x[i]);                                       \
  }
#define INTEGERS(T, t, S, s)                                                                          \
  void load_longs_##t##_##s(const S *p, int64_t *r) { put(r, load_longs<T>(p)); }                     \
  void load_longs_first_##t##_##s(const S *p, int64_t n, int64_t *r) { put(r, load_longs_first<T>(p, n)); } \
  void gather_longs_##t##_##s(const S *p, const int64_t *offsets, const int64_t *mask, int64_t *r) {  \
    put(r, gather_longs<T>(p, get_longs(offsets, T()), get_longs(mask, T()) != 0));                   \
  }                                                                                                   \
  void load_ints_##t##_##s(const S *p, typename shape<T>::integer *r) { put(r, load_ints<T>(p)); }
#define BOTH(of, S, s) of(float, f, S, s) of(double, d, S, s)

extern "C" {
BOTH(VALUES, float, float) BOTH(VALUES, double, double) BOTH(VALUES, bf16, bf16) BOTH(VALUES, f16, f16)
BOTH(VALUES, int8_t, int8) BOTH(VALUES, int16_t, int16) BOTH(VALUES, int32_t, int32) BOTH(VALUES, int64_t, int64)
BOTH(VALUES, uint8_t, uint8) BOTH(VALUES, bool, bool)
BOTH(INTEGERS, int8_t, int8) BOTH(INTEGERS, int16_t, int16) BOTH(INTEGERS, int32_t, int32)
BOTH(INTEGERS, int64_t, int64) BOTH(INTEGERS, uint8_t, uint8) BOTH(INTEGERS, bool, bool)
int vector_bytes() { return ATTNC_VECTOR_BYTES; }
}
