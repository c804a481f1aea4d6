// Every elementary function over arrays, for both widths: vectors as v_<name>_<type>, scalars as s_<name>_<type>.
#include "attnc_math_float.h"
using namespace attnc;

#define UNARY_OF(name, T, suffix)                                                               \
  void v_##name##_##suffix(const T *x, T *out, int64_t count) {                                 \
    for (int64_t i = 0; i < count; i += lanes<T>) store(out + i, name(load(x + i)));            \
  }                                                                                             \
  void s_##name##_##suffix(const T *x, T *out, int64_t count) {                                 \
    for (int64_t i = 0; i < count; i++) out[i] = name(x[i]);                                    \
  }
#define BINARY_OF(name, T, suffix)                                                                        \
  void v_##name##_##suffix(const T *x, const T *y, T *out, int64_t count) {                               \
    for (int64_t i = 0; i < count; i += lanes<T>) store(out + i, name(load(x + i), load(y + i)));         \
  }                                                                                                       \
  void s_##name##_##suffix(const T *x, const T *y, T *out, int64_t count) {                               \
    for (int64_t i = 0; i < count; i++) out[i] = name(x[i], y[i]);                                        \
  }
#define UNARY(name) UNARY_OF(name, float, f) UNARY_OF(name, double, d)
#define BINARY(name) BINARY_OF(name, float, f) BINARY_OF(name, double, d)

extern "C" {
UNARY(exp) UNARY(exp2) UNARY(expm1) UNARY(log) UNARY(log2) UNARY(log1p) UNARY(tanh) UNARY(sigmoid)
UNARY(log_sigmoid) UNARY(softplus) UNARY(erf) UNARY(sin) UNARY(cos) UNARY(sqrt) UNARY(rsqrt)
UNARY(floor) UNARY(ceil) UNARY(round) UNARY(abs) UNARY(sign)
BINARY(atan2) BINARY(pow) BINARY(copysign) BINARY(vmax) BINARY(vmin) BINARY(floordiv) BINARY(floormod)
}
