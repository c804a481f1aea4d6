// Converting loads and stores of vectors: consecutive, only the first few, strided, gathered.
//
// Each load comes three times: to values (vec<T>), to longs<T> and to ints<T>, the last two for integer and bool
// elements. The less regular ones collect their elements in a local array and load that like consecutive elements,
// so that every storage type has every form.
#pragma once

#include "attnc_storage.h"

namespace attnc {

template <class T, class S> struct alignas(64) staged {
  S at[lanes<T>];
};

#if ATTNC_VECTOR_BYTES == 64
template <int n> struct byte_vector {
  typedef ATTNC_VECTOR(uint8_t, n) type;
  typedef type in_memory __attribute__((aligned(1), may_alias));
};
ATTNC_INLINE uint64_t first_bits(int64_t n) { return n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0; }
#endif

// The first n elements, zeros after them; elements from n on are not touched.
template <class T, class S> ATTNC_INLINE staged<T, S> stage_first(const S *p, int64_t n) {
  staged<T, S> r = {};
#if ATTNC_VECTOR_BYTES == 64
  constexpr int size = sizeof(r.at);
  if constexpr (size <= 64 && size >= 16) {
    typename byte_vector<size>::type x;
    __asm__("vmovdqu8 %1, %0%{%2%}%{z%}"
            : "=v"(x)
            : "m"(*(const typename byte_vector<size>::in_memory *)p), "Yk"(first_bits(n * (int64_t)sizeof(S))));
    memcpy(r.at, &x, size);
    return r;
  }
#endif
  for (int64_t i = 0; i < n; i++) r.at[i] = p[i];
  return r;
}
template <class T, class S> ATTNC_INLINE staged<T, S> stage_strided(const S *p, int64_t stride) {
  staged<T, S> r;
  ATTNC_UNROLL for (int i = 0; i < lanes<T>; i++) r.at[i] = p[i * stride];
  return r;
}
// Lanes masked off read a zero of our own: no branches, and nothing of the caller's is touched.
template <class T, class S, class M> ATTNC_INLINE staged<T, S> stage_gathered(const S *p, longs<T> offsets, M mask) {
  static const S zero = {};
  const longs<T> kept = convert_longs(mask);
  int64_t at[lanes<T>], keep[lanes<T>];
  memcpy(at, &offsets, sizeof at);
  memcpy(keep, &kept, sizeof keep);
  staged<T, S> r;
  for (int i = 0; i < lanes<T>; i++) r.at[i] = *(keep[i] ? p + at[i] : &zero);
  return r;
}

// ---- gathers, with the machine's instruction for elements of T's width

#if ATTNC_VECTOR_BYTES == 64
#define ATTNC_GATHER(result, S, instruction, scale)                                         \
  ATTNC_INLINE result gather_eight(const S *p, v_long offsets, unsigned keep) {             \
    result r = {};                                                                          \
    uint8_t left = (uint8_t)keep;                                                           \
    __asm__(instruction " (%2,%3," scale "), %0%{%1%}"                                      \
            : "+&v"(r), "+&Yk"(left)                                                        \
            : "r"(p), "v"(offsets)                                                          \
            : "memory");                                                                    \
    return r;                                                                               \
  }
ATTNC_GATHER(h_float, float, "vgatherqps", "4")
ATTNC_GATHER(h_int, int32_t, "vpgatherqd", "4")
ATTNC_GATHER(v_double, double, "vgatherqpd", "8")
ATTNC_GATHER(v_long, int64_t, "vpgatherqq", "8")
#undef ATTNC_GATHER
template <class V, class S> ATTNC_INLINE V gather_sixteen(const S *p, wide offsets, unsigned keep) {
  return join<V>(gather_eight(p, offsets.lo, keep), gather_eight(p, offsets.hi, keep >> 8));
}
ATTNC_INLINE unsigned mask_bits(wide m) { return mask_bits(narrow_longs(m)); }
#endif
template <class T, class S> struct gatherer {
  template <class M> ATTNC_INLINE auto load(const S *p, longs<T> offsets, M mask) {
    return raw<T>::load(stage_gathered<T>(p, offsets, mask).at);
  }
};
#if ATTNC_VECTOR_BYTES == 64
#define ATTNC_GATHERER(T, S, gathered)                                       \
  template <> struct gatherer<T, S> {                                        \
    template <class M> ATTNC_INLINE auto load(const S *p, longs<T> offsets, M mask) { \
      return gathered(p, offsets, mask_bits(mask));                          \
    }                                                                        \
  };
ATTNC_GATHERER(float, float, gather_sixteen<v_float>)
ATTNC_GATHERER(float, int32_t, gather_sixteen<v_int>)
ATTNC_GATHERER(double, double, gather_eight)
ATTNC_GATHERER(double, int64_t, gather_eight)
#undef ATTNC_GATHERER
#endif

// ---- the loads

#define ATTNC_LOADS(result, convert, consecutive, first, strided, gathered)                                       \
  template <class T, class S> ATTNC_INLINE result<T> consecutive(const S *p) { return convert(raw<T>::load(p)); } \
  template <class T, class S> ATTNC_INLINE result<T> first(const S *p, int64_t n) {                               \
    return convert(raw<T>::load(stage_first<T>(p, n).at));                                                        \
  }                                                                                                               \
  template <class T, class S> ATTNC_INLINE result<T> strided(const S *p, int64_t stride) {                        \
    return convert(raw<T>::load(stage_strided<T>(p, stride).at));                                                 \
  }                                                                                                               \
  template <class T, class S, class M>                                                                            \
  ATTNC_INLINE result<T> gathered(const S *base, longs<T> offsets, M mask) {                                      \
    return convert((gatherer<T, S>::load(base, offsets, mask)));                                                  \
  }
ATTNC_LOADS(vec, convert_float, load_as, load_first, load_strided, gather)
ATTNC_LOADS(longs, convert_longs, load_longs, load_longs_first, load_longs_strided, gather_longs)
ATTNC_LOADS(ints, convert_ints, load_ints, load_ints_first, load_ints_strided, gather_ints)
#undef ATTNC_LOADS

// ---- the stores; V is vec<float> or vec<double>

template <class S, class V> ATTNC_INLINE void store_as(S *p, V x) { store_from(p, x); }
template <class S, class V> ATTNC_INLINE void store_first(S *p, int64_t n, V x) {
  constexpr int count = sizeof(V) / sizeof(x[0]);
  alignas(64) S at[count];
  store_from(at, x);
#if ATTNC_VECTOR_BYTES == 64
  constexpr int size = sizeof at;
  if constexpr (size <= 64 && size >= 16) {
    typedef byte_vector<size> bytes;
    __asm__("vmovdqu8 %1, %0%{%2%}"
            : "+m"(*(typename bytes::in_memory *)p)
            : "v"(load_bytes<typename bytes::type>(at)), "Yk"(first_bits(n * (int64_t)sizeof(S))));
    return;
  }
#endif
  for (int64_t i = 0; i < n; i++) p[i] = at[i];
}
template <class S, class V> ATTNC_INLINE void store_strided(S *p, int64_t stride, V x) {
  constexpr int count = sizeof(V) / sizeof(x[0]);
  alignas(64) S at[count];
  store_from(at, x);
  ATTNC_UNROLL for (int i = 0; i < count; i++) p[i * stride] = at[i];
}

}  // namespace attnc
