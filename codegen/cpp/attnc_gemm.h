// Products of matrices that fit the nearer caches: C = A B, C += A B, C = diag(scale) C + A B.
//
// A tile of C stays in registers while A and B stream past it: each step along k loads one row of B's panel and
// broadcasts one element of A for each of the tile's rows, so any strides of A are as good as others. A tile's
// size is a template argument. Elements of A and B are numbers, or pairs of narrow ones (attnc_pairs.h).
#pragma once

#include "attnc_pairs.h"

namespace attnc {

// The largest tile: of 32 registers 24 hold C, 4 a row of B, 1 an element of A (but NEON loads all of A's first); of
// 16 registers 12, 2 and 1.
#if ATTNC_VECTOR_BYTES == 64
constexpr int gemm_rows = 6, gemm_vectors = 4;
#elif defined(__aarch64__)
constexpr int gemm_rows = 5, gemm_vectors = 4;
#else
constexpr int gemm_rows = 6, gemm_vectors = 2;
#endif

template <class T, class O> struct product {
  int64_t k;
  const O *a;
  int64_t a_row, a_col;
  const O *b;
  int64_t ldb;
  T *c;
  int64_t ldc;
  const T *scale;  // what each row of C is multiplied by first; null: C is overwritten
  int64_t scale_step;
};

template <class T, int rows, int vectors, class O>
static __attribute__((noinline)) void gemm_tile(const product<T, O> &p) {
  constexpr int L = lanes<T>;
  vec<T> sum[rows][vectors];
  ATTNC_UNROLL for (int i = 0; i < rows; i++) {
    ATTNC_UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = vec<T>{};
  }
  const O *a = p.a, *b = p.b;
  const int64_t a_row = p.a_row, a_col = p.a_col, ldb = p.ldb;
  for (int64_t k = p.k; k > 0; k--) {
    __builtin_prefetch(a + 8 * a_col);  // a transposed A changes its cache line at every step
    operands<O> row[vectors];
    ATTNC_UNROLL for (int j = 0; j < vectors; j++) row[j] = load(b + j * L);
    ATTNC_UNROLL for (int i = 0; i < rows; i++) {
      const operands<O> x = repeat(a[i * a_row]);
      ATTNC_UNROLL for (int j = 0; j < vectors; j++) multiply_add(sum[i][j], x, row[j]);
    }
    a += a_col;
    b += ldb;
  }
  // C is added last: what a product adds up is as long as k, however often C is added to.
  const T *scale = p.scale;
  T *c = p.c;
  ATTNC_UNROLL for (int i = 0; i < rows; i++) {
    if (scale) {
      const vec<T> s = splat<T>(*scale);
      ATTNC_UNROLL for (int j = 0; j < vectors; j++) store(c + j * L, s * load(c + j * L) + sum[i][j]);
      scale += p.scale_step;
    } else {
      ATTNC_UNROLL for (int j = 0; j < vectors; j++) store(c + j * L, sum[i][j]);
    }
    c += p.ldc;
  }
}

// All rows of a panel of C of a few vectors' width. After the largest tiles come some of 4, 2 and 1 rows; a tile for
// every count of rows would gain less than it would cost to compile.
template <class T, int vectors, class O> static void gemm_panel(int64_t m, product<T, O> p) {
  while (m > 0) {
    const int64_t rows = m >= gemm_rows ? gemm_rows : m >= 4 ? 4 : m >= 2 ? 2 : 1;
    switch (rows) {
      case 1: gemm_tile<T, 1, vectors, O>(p); break;
      case 2: gemm_tile<T, 2, vectors, O>(p); break;
      case 4: gemm_tile<T, 4, vectors, O>(p); break;
      default: gemm_tile<T, gemm_rows, vectors, O>(p); break;
    }
    m -= rows;
    p.a += rows * p.a_row;
    p.c += rows * p.ldc;
    p.scale += p.scale ? rows * p.scale_step : 0;
  }
}
template <class T, int vectors, class O>
ATTNC_INLINE void gemm_panel_of(int width, int64_t m, const product<T, O> &p) {
  if (width == vectors) return gemm_panel<T, vectors>(m, p);
  if constexpr (vectors > 1) gemm_panel_of<T, vectors - 1>(width, m, p);
}

template <class T, int columns, class O> static void gemm_panels(int64_t m, int64_t n, product<T, O> p) {
  const int count = (int)((columns ? columns : n) / lanes<T>), panels = (count + gemm_vectors - 1) / gemm_vectors;
  if (panels == 0) return;
  if constexpr (columns > gemm_vectors * lanes<T> && columns <= 2 * gemm_vectors * lanes<T>)
    if (m == 1) return gemm_tile<T, 1, columns / lanes<T>>(p);  // rows of B are read from end to end
  const int fewer = count / panels, with_one_more = count % panels;
  for (int t = 0; t < panels; t++) {
    const int width = fewer + (t < with_one_more);
    if constexpr (columns != 0) {  // no more than two widths to compile
      constexpr int all = columns / lanes<T>, parts = (all + gemm_vectors - 1) / gemm_vectors, least = all / parts;
      if (width == least) gemm_panel<T, least>(m, p);
      if constexpr (all % parts != 0)
        if (width != least) gemm_panel<T, least + 1>(m, p);
    } else {
      gemm_panel_of<T, gemm_vectors>(width, m, p);
    }
    p.b += width * lanes<T>;
    p.c += width * lanes<T>;
  }
}

template <class T, int columns, class O> ATTNC_INLINE void gemm_chunks(int64_t m, int64_t n, product<T, O> p) {
  static const T one = 1;
  // Where A is transposed and B's rows lie far apart, the lines of both would push each other out of the first cache.
  const bool far_apart = p.a_row < p.a_col && n * (int64_t)sizeof(O) >= 1024;
  const int64_t all = p.k, longest = far_apart ? 96 : all, chunks = all > longest ? (all + longest - 1) / longest : 1;
  for (int64_t t = 0; t < chunks; t++) {
    p.k = all / chunks + (t < all % chunks);
    gemm_panels<T, columns>(m, n, p);
    p.a += p.k * p.a_col;
    p.b += p.k * p.ldb;
    p.scale = &one;
    p.scale_step = 0;
  }
}

// C[m, n] (+)= A[m, k] B[k, n]. Element (i, p) of A is at a[i * a_row + p * a_col]; rows of B and C are contiguous,
// ldb and ldc apart, and n is a multiple of lanes<T>. m, n and k may be 0; with k = 0 the product is zeros. C may hold
// anything, NaN too, unless it is accumulated to. Where n is known, columns = n compiles only the tiles it needs.
template <class T, int columns = 0, class O>
static void gemm(int64_t m, int64_t n, int64_t k, const O *a, int64_t a_row, int64_t a_col, const O *b, int64_t ldb,
                 T *c, int64_t ldc, bool accumulate) {
  static const T one = 1;
  gemm_chunks<T, columns>(m, n, product<T, O>{k, a, a_row, a_col, b, ldb, c, ldc, accumulate ? &one : nullptr, 0});
}

// C[i, :] = row_scale[i] C[i, :] + A[i, :] B, or C += A B where row_scale is null.
template <class T, int columns = 0>
static void gemm_scaled(int64_t m, int64_t n, int64_t k, const T *a, int64_t a_row, int64_t a_col, const T *b,
                        int64_t ldb, T *c, int64_t ldc, const T *row_scale) {
  static const T one = 1;
  gemm_chunks<T, columns>(
      m, n, product<T, T>{k, a, a_row, a_col, b, ldb, c, ldc, row_scale ? row_scale : &one, row_scale ? 1 : 0});
}

// C[m, begin:end] = A[m, k] B[k, begin:end], in panels of one width; the last one lies further left, over columns that
// are done, so that no other width has to be compiled (register tiles are what takes long to compile). B and C must
// have room for one whole panel, and begin must be a multiple of lanes<T>.
template <class T, class O>
static void gemm_columns(int64_t m, int64_t begin, int64_t end, int64_t k, const O *a, int64_t a_row, const O *b,
                         int64_t ldb, T *c, int64_t ldc) {
  constexpr int64_t panel = gemm_vectors * lanes<T>;
  const int64_t stop = begin + (end - begin + lanes<T> - 1) / lanes<T> * lanes<T>;
  for (int64_t at = begin; at < stop; at += panel) {
    const int64_t from = at + panel <= stop ? at : stop < panel ? 0 : stop - panel;
    gemm<T, (int)panel>(m, panel, k, a, a_row, 1, b + from, ldb, c + from, ldc, false);
  }
}

}  // namespace attnc
