// Products of few rows: dot products with what lies in memory as the caller has it.
#pragma once

#include "attnc_access.h"

namespace attnc {

// A product of few rows with features that lie as the caller has them, side by side for each column: c[r, column] from
// `begin` to `end`, of rows of `width` values. Each column is read once and nothing is prepared, which is faster where
// memory is the limit.
constexpr int64_t most_dot_rows = 4;
template <class T, class S>
static void gemm_dots(int64_t rows, int64_t begin, int64_t end, int64_t width, const T *a, int64_t lda, const S *b,
                      int64_t ldb, T *c, int64_t ldc) {
  constexpr int count = 4;  // columns at once, so that sums wait less for one another
  const int64_t whole = width / lanes<T> * lanes<T>, rest = width - whole;
  for (int64_t column = begin; column < end; column += count) {
    const S *from[count];
    for (int n = 0; n < count; n++) from[n] = b + (column + n < end ? column + n : end - 1) * ldb;
    for (int64_t r = 0; r < rows; r++) {
      const T *left = a + r * lda;
      vec<T> sum[count];
      ATTNC_UNROLL for (int n = 0; n < count; n++) sum[n] = splat<T>(T(0));
      for (int64_t w = 0; w < whole; w += lanes<T>) {
        const vec<T> x = load(left + w);
        ATTNC_UNROLL for (int n = 0; n < count; n++) sum[n] += x * load_as<T, S>(from[n] + w);
      }
      if (rest) {
        const vec<T> x = load_first<T, T>(left + whole, rest);
        ATTNC_UNROLL for (int n = 0; n < count; n++) sum[n] += x * load_first<T, S>(from[n] + whole, rest);
      }
      const int64_t found = end - column < count ? end - column : count;
      for (int64_t n = 0; n < found; n++) c[r * ldc + column + n] = hsum(sum[n]);
    }
  }
}

}  // namespace attnc
