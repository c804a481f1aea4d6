// What generated kernels need besides tiles: how stages run, where memory comes from, and a few index helpers.
#pragma once

#include <stdlib.h>
#include <string.h>

#include "attnc_tile.h"

namespace attnc {

// ---- stages: the caller's pool runs tasks and lends each worker scratch memory

typedef void (*task_function)(void *context, int64_t task, int worker);
typedef void (*parallel_function)(int64_t tasks, int threads, task_function body, void *context);
typedef void *(*scratch_function)(int64_t bytes);

// ---- memory: one allocation for each buffer, 64-byte aligned; pages of zeroed ones are first touched by workers

struct Memory {
  void *block;
};
static inline void *align_up(void *p) { return (void *)(((uintptr_t)p + 63) & ~(uintptr_t)63); }
static inline void *take(Memory &memory, int64_t bytes) {
  memory.block = bytes < 0 ? nullptr : malloc((size_t)bytes + 128);
  return memory.block ? align_up(memory.block) : nullptr;
}
static inline void *take_zeroed(Memory &memory, int64_t bytes) {
  memory.block = bytes < 0 ? nullptr : calloc((size_t)bytes + 128, 1);
  return memory.block ? align_up(memory.block) : nullptr;
}
template <int count> static inline void free_all(Memory (&memory)[count]) {
  for (int n = 0; n < count; n++) free(memory[n].block);
}

static inline void add_counts(int64_t *counters, int64_t full, int64_t partial) {
  __atomic_fetch_add(counters, full, __ATOMIC_RELAXED);
  __atomic_fetch_add(counters + 1, partial, __ATOMIC_RELAXED);
}

// ---- indices

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t block_count(int64_t size, int64_t block) { return (size + block - 1) / block; }
static inline double as_double(int64_t bits) { return same_bits<double>(bits); }

// Of a vector that starts `left` elements before the end: how many lanes hold something, and a mask of them.
template <class T> static inline int64_t valid_lanes(int64_t left) { return left < lanes<T> ? left : lanes<T>; }
template <class T> ATTNC_INLINE ints<T> first_lanes(int64_t count) {
  return iota<T>() < (typename shape<T>::integer)count;
}
// Rounded up to whole vectors.
template <class T> static inline int64_t whole_vectors(int64_t n) { return (n + lanes<T> - 1) / lanes<T> * lanes<T>; }

// Columns of one row of a tile that is looked at from `begin` (whole vectors) to `end`: before `begin` and from `end`
// on, none holds a pair, between the inner ones all do.
struct RowPart {
  int64_t begin, inner_begin, inner_end, end;
};
template <class T>
static inline RowPart row_part(int64_t begin, int64_t end, int64_t low, int64_t high, int64_t inner_low,
                               int64_t inner_high) {
  RowPart p;
  p.begin = larger(begin, smaller(low, end)) / lanes<T> * lanes<T>;
  p.end = larger(p.begin, smaller(high, end));
  p.inner_begin = whole_vectors<T>(larger(inner_low, p.begin));
  p.inner_end = smaller(inner_high, end) / lanes<T> * lanes<T>;
  if (p.inner_end <= p.inner_begin) p.inner_begin = p.inner_end = p.begin;
  return p;
}

template <class V> static inline bool all_same(V x, int64_t count) {
  for (int64_t i = 1; i < count; i++)
    if (x[i] != x[0]) return false;
  return true;
}

// The first `count` lanes from numbers that lie `step` apart.
template <class T> static inline vec<T> load_steps(const T *p, int64_t step, int64_t count) {
  vec<T> x = splat<T>(T(0));
  for (int64_t i = 0; i < count; i++) x[i] = p[i * step];
  return x;
}

// A bound for comparing narrow lanes, which lie strictly within 32 bits, with any 64-bit number.
static inline int32_t clamp_narrow(int64_t x) {
  return x > INT32_MAX ? INT32_MAX : x < -INT32_MAX ? -INT32_MAX : (int32_t)x;
}

// Shifts by the number's width or more give 0 (or the sign), by less than 0 the same as by 0.
static inline int64_t shift_left(int64_t a, int64_t n) {
  return n > 63 ? 0 : (int64_t)((uint64_t)a << (n < 0 ? 0 : n));
}
static inline int64_t shift_right(int64_t a, int64_t n) { return a >> (n > 63 ? 63 : n < 0 ? 0 : n); }
#define ATTNC_SHIFT_LANES(NAME)                                                                     \
  ATTNC_INLINE v_long NAME(v_long a, v_long n) {                                                    \
    for (int i = 0; i < lanes<double>; i++) a[i] = NAME((int64_t)a[i], (int64_t)n[i]);              \
    return a;                                                                                       \
  }                                                                                                 \
  ATTNC_INLINE wide NAME(wide a, wide n) { return wide{NAME(a.lo, n.lo), NAME(a.hi, n.hi)}; }       \
  ATTNC_INLINE v_int NAME(v_int a, v_int n) {                                                       \
    for (int i = 0; i < lanes<float>; i++) a[i] = (int32_t)NAME((int64_t)a[i], (int64_t)n[i]);      \
    return a;                                                                                       \
  }
ATTNC_SHIFT_LANES(shift_left)
ATTNC_SHIFT_LANES(shift_right)
#undef ATTNC_SHIFT_LANES

// ---- roots

// One step towards the zero of a rising f within [below, above], known to be f at t: Newton's where that stays inside
// what is left, else half of it (and every fourth time, for what Newton is slow on). False once t cannot get better:
// numbers of this size cancel in f to their last digit.
template <class T> static inline T magnitude(T x) { return x < 0 ? -x : x; }
template <class T> static bool solve_step(T f, T slope, T size, int step, T &t, T &below, T &above) {
  const T finest = sizeof(T) == 8 ? T(4.5e-16) : T(2.4e-7);
  if (f != f || magnitude(f) <= size * finest / 4 || (f > 0 && step == 0)) return false;
  if (f > 0) above = t; else below = t;
  T next = t - f / slope;
  const bool inside = next > below && next < above;
  if (!inside || (step > 8 && step % 4 == 0)) next = below + (above - below) / 2;
  if (!(next > below && next < above)) return false;
  const T moved = magnitude(next - t);
  t = next;
  return moved > finest * magnitude(next);
}

// ---- searches

// Floating numbers as integers in the same order, and back.
ATTNC_INLINE int64_t in_order(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof x);
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}
ATTNC_INLINE int64_t in_order(double x) {
  int64_t bits;
  memcpy(&bits, &x, sizeof x);
  return bits < 0 ? bits ^ 0x7fffffffffffffff : bits;
}
ATTNC_INLINE int64_t in_order(int64_t x) { return x; }
template <class K> static inline K from_order(int64_t key);
template <> inline float from_order<float>(int64_t key) {
  const int32_t bits = key < 0 ? (int32_t)key ^ 0x7fffffff : (int32_t)key;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
template <> inline double from_order<double>(int64_t key) {
  const int64_t bits = key < 0 ? key ^ 0x7fffffffffffffff : key;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
template <> inline int64_t from_order<int64_t>(int64_t key) { return key; }
ATTNC_INLINE v_long in_order(v_double x) {
  const v_long bits = (v_long)x;
  return bits < 0 ? bits ^ 0x7fffffffffffffff : bits;
}
ATTNC_INLINE wide in_order(v_float x) {
  const v_int bits = (v_int)x;
  return convert_longs(bits < 0 ? bits ^ 0x7fffffff : bits);
}
template <class T> static inline v_double from_order(v_long key) {
  return (v_double)(key < 0 ? key ^ 0x7fffffffffffffff : key);
}
template <class T> static inline v_float from_order(wide key) {
  const v_int bits = convert_ints(key);
  return (v_float)(bits < 0 ? bits ^ 0x7fffffff : bits);
}
// How far numbers of this size lie apart.
ATTNC_INLINE float rounding(float x) { return magnitude(x) * 1.1920928955078125e-07f; }
ATTNC_INLINE double rounding(double x) { return magnitude(x) * 2.220446049250313e-16; }
ATTNC_INLINE v_float rounding(v_float x) { return abs(x) * 1.1920928955078125e-07f; }
ATTNC_INLINE v_double rounding(v_double x) { return abs(x) * 2.220446049250313e-16; }
ATTNC_INLINE int64_t middle_of(int64_t below, int64_t above) { return (below & above) + ((below ^ above) >> 1); }

// Goes on to the next middle of what is left, the condition being known at the last one; whether several are left.
template <class K> static bool search_step(bool holds, K &t, int64_t &below, int64_t &above) {
  if (below >= above) return false;
  const int64_t middle = middle_of(below, above);
  if (holds) above = middle; else below = middle + 1;
  t = from_order<K>(middle_of(below, above));
  return below < above;
}

static inline bool any_of(const int64_t *p, int64_t count) {
  for (int64_t n = 0; n < count; n++) if (p[n]) return true;
  return false;
}

// ---- values

template <class T> static inline bool is_finite(T x) { return x - x == 0; }
ATTNC_INLINE float finite_or(float x, float other) { return is_finite(x) ? x : other; }
ATTNC_INLINE double finite_or(double x, double other) { return is_finite(x) ? x : other; }
ATTNC_INLINE v_float finite_or(v_float x, v_float other) { return x - x == 0 ? x : other; }
ATTNC_INLINE v_double finite_or(v_double x, v_double other) { return x - x == 0 ? x : other; }

template <class V> static inline int64_t hsum_longs(V x) {
  int64_t at[sizeof(V) / 8], total = 0;
  memcpy(at, &x, sizeof x);
  for (int64_t value : at) total += value;
  return total;
}
ATTNC_INLINE float logaddexp(float a, float b) {
  const float top = vmax(a, b);
  return is_finite(top) ? top + log1p(exp(-abs(a - b))) : top == a ? top : a + b;
}
ATTNC_INLINE double logaddexp(double a, double b) {
  const double top = vmax(a, b);
  return is_finite(top) ? top + log1p(exp(-abs(a - b))) : top == a ? top : a + b;
}
ATTNC_INLINE v_float logaddexp(v_float a, v_float b) {
  const v_float top = vmax(a, b);
  return top - top == 0 ? top + log1p(exp(-abs(a - b))) : top;
}
ATTNC_INLINE v_double logaddexp(v_double a, v_double b) {
  const v_double top = vmax(a, b);
  return top - top == 0 ? top + log1p(exp(-abs(a - b))) : top;
}
ATTNC_INLINE float relu(float x) { return x > 0 ? x : x != x ? x : 0.0f; }
ATTNC_INLINE double relu(double x) { return x > 0 ? x : x != x ? x : 0.0; }
ATTNC_INLINE v_float relu(v_float x) { return x < 0 ? v_float{} : x; }
ATTNC_INLINE v_double relu(v_double x) { return x < 0 ? v_double{} : x; }

}  // namespace attnc
