// Timed loops; each function gives the least seconds of several tries. Not part of the tests.
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "attnc_tile.h"
using namespace attnc;

#if defined(__x86_64__)
#define OPAQUE(x) __asm__ volatile("" : "+v"(x))
#else
#define OPAQUE(x) __asm__ volatile("" : "+w"(x))
#endif

static double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
template <class F> static double least(int tries, F timed) {
  double best = 1e9;
  for (int i = 0; i < tries; i++) {
    const double start = now();
    timed();
    const double seconds = now() - start;
    if (seconds < best) best = seconds;
  }
  return best;
}
template <class T> static T *memory(int64_t count) {
  T *const p = (T *)aligned_alloc(64, (size_t)((count * (int64_t)sizeof(T) + 63) / 64 * 64));
  memset((void *)p, 0, (size_t)count * sizeof(T));
  return p;
}

template <class T> static double peak() {  // multiply-adds of registers, in operations a second
  const int steps = 200000;
  const double seconds = least(5, [] {
    vec<T> sums[12] = {}, x = {}, y = {};
    for (int i = 0; i < steps; i++)
      ATTNC_UNROLL for (int j = 0; j < 12; j++) {
        sums[j] += x * y;
        OPAQUE(sums[j]);
      }
  });
  return 2.0 * 12 * lanes<T> * steps / seconds;
}
// The same of pairs of bfloat16 factors; 0 where the machine multiplies none.
static double peak_of_pairs() {
#ifdef ATTNC_PAIRS
  const int steps = 200000;
  const double seconds = least(5, [] {
    v_float sums[12] = {};
    v_pair x = {}, y = {};
    for (int i = 0; i < steps; i++)
      ATTNC_UNROLL for (int j = 0; j < 12; j++) {
        multiply_add(sums[j], x, y);
        OPAQUE(sums[j]);
      }
  });
  return 4.0 * 12 * lanes<float> * steps / seconds;
#else
  return 0;
#endif
}
template <class T>
static double product_rate(int64_t m, int64_t n, int64_t k, int transposed, int64_t pad, int accumulate) {
  T *const a = memory<T>((m + pad) * (k + pad)), *const b = memory<T>((n + pad) * k), *const c = memory<T>(m * n);
  const int64_t a_row = transposed ? 1 : k + pad, a_col = transposed ? m + pad : 1;
  const int64_t times = 1 + 4000000 / (m * n * k);
  const double seconds = least(20, [=] {
    for (int64_t i = 0; i < times; i++) gemm(m, n, k, a, a_row, a_col, b, n + pad, c, n, accumulate != 0);
  });
  free(a), free(b), free(c);
  return 2.0 * (double)(m * n * k * times) / seconds;
}
template <class T, class F> static double element_rate(F function) {
  const int64_t count = 1024;  // within the first cache
  T *const x = memory<T>(count), *const y = memory<T>(count);
  for (int64_t i = 0; i < count; i++) x[i] = (T)-0.01 * (T)(i % 1000);
  const double seconds = least(30, [=] {
    for (int64_t i = 0; i < count; i += lanes<T>) store(y + i, function(load(x + i)));
  });
  free(x), free(y);
  return (double)count / seconds;
}
template <class S> static double pack_rate(int64_t rows, int64_t cols, int64_t pad, int transposed) {
  S *const source = memory<S>(rows * cols);
  float *const tile = memory<float>((rows + pad) * (cols + pad));
  const double seconds = least(200, [=] {
    if (transposed)
      pack_transposed<float>(tile, rows + pad, source, cols, 1, rows, cols);
    else
      pack_rows<float>(tile, cols + pad, source, cols, 1, rows, cols);
  });
  free(source), free(tile);
  return (double)(rows * cols * 4) / seconds;
}

extern "C" {
void attnc_parallel(int64_t tasks, int threads, void (*body)(void *context, int64_t task, int worker), void *context);

double peak_f() { return peak<float>(); }
double peak_d() { return peak<double>(); }
double peak_pairs() { return peak_of_pairs(); }
double product_f(int64_t m, int64_t n, int64_t k, int transposed, int64_t pad, int accumulate) {
  return product_rate<float>(m, n, k, transposed, pad, accumulate);
}
double product_d(int64_t m, int64_t n, int64_t k, int transposed, int64_t pad, int accumulate) {
  return product_rate<double>(m, n, k, transposed, pad, accumulate);
}
#define RATE(name)                                                                              \
  double name##_f() { return element_rate<float>([](v_float x) { return name(x); }); }          \
  double name##_d() { return element_rate<double>([](v_double x) { return name(x); }); }
RATE(exp2) RATE(exp) RATE(log) RATE(tanh) RATE(sigmoid) RATE(erf) RATE(sin)
#define PACK(name, S)                                                               \
  double pack_##name(int64_t rows, int64_t cols, int64_t pad, int transposed) {     \
    return pack_rate<S>(rows, cols, pad, transposed);                               \
  }
PACK(float, float) PACK(bf16, bf16) PACK(f16, f16)

static void nothing(void *, int64_t, int) {}
static void meet(void *context, int64_t, int) {  // two tasks that end only when both have begun
  __atomic_add_fetch((int *)context, 1, __ATOMIC_ACQ_REL);
  while (__atomic_load_n((int *)context, __ATOMIC_ACQUIRE) < 2) {}
}
// Mean seconds of a call with two threads, after a pause of some microseconds: of empty tasks, or of two that meet.
double call_seconds(int meeting, int pause_microseconds, int times) {
  double sum = 0;
  for (int i = 0; i < times; i++) {
    if (pause_microseconds) usleep((useconds_t)pause_microseconds);
    int met = 0;
    const double start = now();
    attnc_parallel(2, 2, meeting ? meet : nothing, &met);
    sum += now() - start;
  }
  return sum / times;
}
}
