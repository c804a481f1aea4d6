// Products of few rows with what lies in memory as the caller has it, side by side for each column: each value is read
// once and nothing is prepared, which is faster where memory is the limit.
#pragma once

#include "attnc_access.h"
#include "attnc_pairs.h"

namespace attnc {

constexpr int64_t most_dot_rows = 4;

// How rows of A and columns' values S are read to be multiplied: `step` values at once.
template <class T, class A, class S> struct dot_factors {
  static constexpr int64_t step = lanes<T>;
  typedef vec<T> vector;
  ATTNC_INLINE vector left(const A *p) { return load(p); }
  ATTNC_INLINE vector right(const S *p) { return load_as<T, S>(p); }
  ATTNC_INLINE vector left(const A *p, int64_t count) { return load_first<T, A>(p, count); }
  ATTNC_INLINE vector right(const S *p, int64_t count) { return load_first<T, S>(p, count); }
};
#ifdef ATTNC_PAIRS
template <> struct dot_factors<float, bf16, bf16> {
  static constexpr int64_t step = 2 * lanes<float>;
  typedef v_pair vector;
  ATTNC_INLINE vector left(const bf16 *p) { return load((const pair *)p); }
  ATTNC_INLINE vector left(const bf16 *p, int64_t count) {
    alignas(64) bf16 at[step] = {};
    memcpy(at, p, count * sizeof(bf16));
    return load((const pair *)at);
  }
  ATTNC_INLINE vector right(const bf16 *p) { return left(p); }
  ATTNC_INLINE vector right(const bf16 *p, int64_t count) { return left(p, count); }
};
#endif

// The sum of the lanes of each of a vector's number of vectors: halves of them are interleaved and added, again and
// again.
template <class T> ATTNC_INLINE vec<T> lane_sums(vec<T> (&x)[lanes<T>]) {
  ATTNC_UNROLL for (int half = lanes<T> / 2; half > 0; half /= 2) {
    ATTNC_UNROLL for (int i = 0; i < half; i++) {
      vec<T> lo, hi;
      interleave<T>(x[i], x[i + half], lo, hi);
      x[i] = lo + hi;
    }
  }
  return x[0];
}

// c[r, column] for as many columns as fill a vector with these rows; those from `found` on are no columns.
template <class T, int rows, class A, class S>
ATTNC_INLINE void dots_block(int64_t found, int64_t width, const A *a, int64_t lda, const S *b, int64_t ldb, T *c,
                             int64_t ldc) {
  typedef dot_factors<T, A, S> factors;
  constexpr int count = lanes<T> >= rows ? lanes<T> / rows : 1, sums = count * rows;
  constexpr int held = sums > lanes<T> ? sums : lanes<T>;
  const int64_t whole = width / factors::step * factors::step, rest = width - whole;
  vec<T> sum[held];
  ATTNC_UNROLL for (int n = 0; n < held; n++) sum[n] = vec<T>{};
  const S *from[count];
  ATTNC_UNROLL for (int n = 0; n < count; n++) from[n] = b + (n < found ? n : found - 1) * ldb;
  ATTNC_UNROLL for (int n = 0; n < count; n++) {  // column after column, as they lie in memory
    for (int64_t w = 0; w < whole; w += factors::step) {
      const auto y = factors::right(from[n] + w);
      ATTNC_UNROLL for (int r = 0; r < rows; r++)
        multiply_add(sum[r * count + n], factors::left(a + r * lda + w), y);
    }
  }
  if (rest) {
    ATTNC_UNROLL for (int n = 0; n < count; n++) {
      const auto y = factors::right(from[n] + whole, rest);
      ATTNC_UNROLL for (int r = 0; r < rows; r++)
        multiply_add(sum[r * count + n], factors::left(a + r * lda + whole, rest), y);
    }
  }
  alignas(64) T at[held];
  if constexpr (held == lanes<T>) {
    store(at, lane_sums<T>(sum));
  } else {
    for (int n = 0; n < sums; n++) at[n] = hsum(sum[n]);
  }
  if (found >= count) {
    ATTNC_UNROLL for (int r = 0; r < rows; r++) memcpy(c + r * ldc, at + r * count, count * sizeof(T));
    return;
  }
  ATTNC_UNROLL for (int r = 0; r < rows; r++)
    for (int n = 0; n < found; n++) c[r * ldc + n] = at[r * count + n];
}
template <class T, int rows, class A, class S>
static void dots_rows(int64_t begin, int64_t end, int64_t width, const A *a, int64_t lda, const S *b, int64_t ldb, T *c,
                      int64_t ldc) {
  constexpr int count = lanes<T> >= rows ? lanes<T> / rows : 1;
  for (int64_t column = begin; column < end; column += count)
    dots_block<T, rows>(end - column, width, a, lda, b + column * ldb, ldb, c + column, ldc);
}

// c[r, column] for columns from `begin` to `end`: rows of A times the features of a column, `width` of each.
template <class T, class A, class S>
static void gemm_dots(int64_t rows, int64_t begin, int64_t end, int64_t width, const A *a, int64_t lda, const S *b,
                      int64_t ldb, T *c, int64_t ldc) {
  while (rows > 0) {
    const int64_t now = rows >= 4 ? 4 : 1;  // each size is a kernel to compile
    if (now == 4) dots_rows<T, 4>(begin, end, width, a, lda, b, ldb, c, ldc);
    if (now == 1) dots_rows<T, 1>(begin, end, width, a, lda, b, ldb, c, ldc);
    a += now * lda;
    c += now * ldc;
    rows -= now;
  }
}

// Rows of C += rows of A times B, k rows of `width` values; C has room for whole vectors.
template <class T, int width, int rows, class A, class S>
static void mix_rows(int64_t k, const A *a, int64_t lda, const S *b, int64_t ldb, T *c, int64_t ldc) {
  constexpr int all = (width + lanes<T> - 1) / lanes<T>, most = rows > 2 ? 4 : 8, tail = width % lanes<T>;
  ATTNC_UNROLL for (int first = 0; first < all; first += most) {
    const int count = all - first < most ? all - first : most;
    vec<T> sum[rows][most];
    ATTNC_UNROLL for (int r = 0; r < rows; r++) ATTNC_UNROLL for (int j = 0; j < most; j++) sum[r][j] = vec<T>{};
    const S *from = b + first * lanes<T>;
    for (int64_t n = 0; n < k; n++, from += ldb) {
      vec<T> x[rows];
      ATTNC_UNROLL for (int r = 0; r < rows; r++) x[r] = splat<T>(widen<T>(a[r * lda + n]));
      ATTNC_UNROLL for (int j = 0; j < most; j++) {
        if (j >= count) continue;
        const bool is_part = tail != 0 && first + j == all - 1;
        const vec<T> y = is_part ? load_first<T, S>(from + j * lanes<T>, tail) : load_as<T, S>(from + j * lanes<T>);
        ATTNC_UNROLL for (int r = 0; r < rows; r++) sum[r][j] += x[r] * y;
      }
    }
    ATTNC_UNROLL for (int r = 0; r < rows; r++) ATTNC_UNROLL for (int j = 0; j < most; j++) {
      if (j >= count) continue;
      T *to = c + r * ldc + (first + j) * lanes<T>;
      store(to, load(to) + sum[r][j]);
    }
  }
}
template <class T, int width, class A, class S>
static void gemm_mix(int64_t rows, int64_t k, const A *a, int64_t lda, const S *b, int64_t ldb, T *c, int64_t ldc) {
  constexpr int64_t at_once = width <= 4 * lanes<T> ? 4 : 2;  // rows of B are read from end to end
  while (rows > 0) {
    const int64_t now = rows >= at_once ? at_once : 1;
    if (now == at_once) mix_rows<T, width, at_once>(k, a, lda, b, ldb, c, ldc);
    if (now == 1) mix_rows<T, width, 1>(k, a, lda, b, ldb, c, ldc);
    a += now * lda;
    c += now * ldc;
    rows -= now;
  }
}

}  // namespace attnc
