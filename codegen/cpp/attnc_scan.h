// Scans along the lanes of vectors, which go on from one vector to the next.
#pragma once

#include "attnc_vector.h"

namespace attnc {

// lane i becomes lane i - distance (i + distance, in reverse); what comes from outside is `rest`
template <class T, bool reverse> ATTNC_INLINE vec<T> moved(vec<T> x, vec<T> rest, int distance) {
#ifdef __clang__
  vec<T> r;
  ATTNC_UNROLL for (int i = 0; i < lanes<T>; i++) {
    const int from = reverse ? i + distance : i - distance;
    r[i] = from < 0 || from >= lanes<T> ? rest[i] : x[from];
  }
  return r;
#else
  return __builtin_shuffle(x, rest, (reverse ? iota<T>() + distance : iota<T>() - distance) & (2 * lanes<T> - 1));
#endif
}

struct Sum {
  template <class T> ATTNC_INLINE T neutral() { return T(0); }
  template <class V> ATTNC_INLINE V both(V a, V b) { return a + b; }
};
struct Max {
  template <class T> ATTNC_INLINE T neutral() { return T(-__builtin_inf()); }
  template <class V> ATTNC_INLINE V both(V a, V b) { return vmax(a, b); }
};
struct Min {
  template <class T> ATTNC_INLINE T neutral() { return T(__builtin_inf()); }
  template <class V> ATTNC_INLINE V both(V a, V b) { return vmin(a, b); }
};

// Each lane with those before it (after it, in reverse) and all vectors so far, whose result is `state`.
template <class T, class Op, bool reverse, bool exclusive> ATTNC_INLINE vec<T> carry_on(vec<T> x, T &state) {
  const vec<T> neutral = splat<T>(Op::template neutral<T>()), before = splat<T>(state);
  ATTNC_UNROLL for (int distance = 1; distance < lanes<T>; distance *= 2)
    x = Op::both(x, moved<T, reverse>(x, neutral, distance));
  const vec<T> with = Op::both(before, x);
  state = with[reverse ? 0 : lanes<T> - 1];
  return exclusive ? Op::both(before, moved<T, reverse>(x, neutral, 1)) : with;
}

// What is left of a state without each lane and those before it (after it, in reverse) and all vectors so far.
template <class T, bool reverse, bool exclusive> ATTNC_INLINE vec<T> take_off(vec<T> x, double &state) {
  const vec<T> neutral = vec<T>{}, before = splat<T>(T(state));
  state -= double(hsum(x));
  ATTNC_UNROLL for (int distance = 1; distance < lanes<T>; distance *= 2) x += moved<T, reverse>(x, neutral, distance);
  return before - (exclusive ? moved<T, reverse>(x, neutral, 1) : x);
}

// Lane after lane: the sum since the last record, with its own.
template <class T, bool reverse, bool exclusive, class M> ATTNC_INLINE vec<T> hold_latest(vec<T> x, M records, T &state) {
  for (int n = 0; n < lanes<T>; n++) {
    const int i = reverse ? lanes<T> - 1 - n : n;
    const T before = state;
    state = (records[i] ? T(0) : state) + x[i];
    x[i] = exclusive ? before : state;
  }
  return x;
}

// The sum of all up to the next record, which begins anew behind it.
template <class T, bool reverse, bool exclusive, class M>
ATTNC_INLINE vec<T> hold_till_next(vec<T> x, M records, T &state) {
  for (int n = 0; n < lanes<T>; n++) {
    const int i = reverse ? lanes<T> - 1 - n : n;
    const T own = x[i], sum = state + own;
    x[i] = exclusive ? state : sum;
    state = exclusive ? (records[i] ? T(0) : state) + own : records[i] ? T(0) : sum;
  }
  return x;
}

}  // namespace attnc
