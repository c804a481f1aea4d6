// Lanes, masks, integers and reductions, on one vector's worth of elements at a time.
#include "attnc_integer.h"
using namespace attnc;

ATTNC_INLINE wide load_wide(const int64_t *p) { return wide{load(p), load(p + lanes<double>)}; }
ATTNC_INLINE void store_wide(int64_t *p, wide x) { store(p, x.lo), store(p + lanes<double>, x.hi); }

#define REDUCE_OF(name, T, suffix) T name##_##suffix(const T *x) { return name(load(x)); }
#define REDUCE(name) REDUCE_OF(name, float, f) REDUCE_OF(name, double, d)
#define DIVISION(name)                                                                                  \
  void name##_i32(const int32_t *a, const int32_t *b, int32_t *r) { store(r, name(load(a), load(b))); } \
  void name##_i64(const int64_t *a, const int64_t *b, int64_t *r) { store(r, name(load(a), load(b))); } \
  void name##_wide(const int64_t *a, const int64_t *b, int64_t *r) {                                    \
    store_wide(r, name(load_wide(a), load_wide(b)));                                                    \
  }                                                                                                     \
  int64_t name##_scalar(int64_t a, int64_t b) { return name(a, b); }
#define WIDE(name, expression)                                             \
  void wide_##name(const int64_t *p, const int64_t *q, int64_t s, int64_t *r) { \
    const wide a = load_wide(p), b = load_wide(q);                         \
    (void)a, (void)b, (void)s;                                             \
    store_wide(r, expression);                                             \
  }

extern "C" {
int vector_bytes() { return ATTNC_VECTOR_BYTES; }
REDUCE(hsum) REDUCE(hprod) REDUCE(hmax) REDUCE(hmin)
DIVISION(floordiv) DIVISION(floormod)

WIDE(add, a + b) WIDE(subtract, a - b) WIDE(multiply, a * b) WIDE(from_scalar, s - a) WIDE(to_scalar, a * s)
WIDE(less, a < b) WIDE(less_equal, a <= b) WIDE(equal, a == b) WIDE(unequal, a != s) WIDE(above, s > a)
WIDE(both, (a < b) & (a < s)) WIDE(either, (a < b) | (a < s)) WIDE(negate, -a) WIDE(invert, ~a)
WIDE(magnitude, abs(a)) WIDE(larger, vmax(a, b)) WIDE(smaller, vmin(a, b)) WIDE(choose, select(a < b, a, b))
WIDE(choose_narrow, select(to_ints<float>(a < b), a, b)) WIDE(count, iota_longs<float>() + s)
WIDE(constant, splat_longs<float>(s)) WIDE(round_trip, to_longs<float>(to_ints<float>(a)))
WIDE(assigned, [=](wide x) { x += b; x -= s; x *= b; return x; }(a))

int any_wide(const int64_t *p) { return any(load_wide(p) != 0); }
int all_wide(const int64_t *p) { return all(load_wide(p) != 0); }
int any_f(const float *p) { return any(load(p) != 0); }
int all_f(const float *p) { return all(load(p) != 0); }
int any_d(const double *p) { return any(load(p) != 0); }
int all_d(const double *p) { return all(load(p) != 0); }
void select_f(const int64_t *mask, const float *a, const float *b, float *r) {
  store(r, select(load_wide(mask) != 0, load(a), load(b)));
}
void select_d(const int64_t *mask, const double *a, const double *b, double *r) {
  store(r, select(load(mask) != 0, load(a), load(b)));
}
void floats_of_ints(const int32_t *p, float *r) { store(r, to_float<float>(load(p))); }
void floats_of_longs(const int64_t *p, float *r) { store(r, to_float<float>(load_wide(p))); }
void doubles_of_longs(const int64_t *p, double *r) { store(r, to_float<double>(load(p))); }
void ints_of_floats(const float *p, int32_t *r) { store(r, to_ints<float>(load(p))); }
void longs_of_floats(const float *p, int64_t *r) { store_wide(r, to_longs<float>(load(p))); }
void longs_of_doubles(const double *p, int64_t *r) { store(r, to_longs<double>(load(p))); }
void iota_f(int32_t *r) { store(r, iota<float>()); }
void iota_d(int64_t *r) { store(r, iota<double>() + splat_ints<double>(0)); }
}
