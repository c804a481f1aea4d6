// Products of bfloat16 factors, rounded sums in float: tiles of factors, how they are laid out and multiplied.
//
// A left factor has rows of which the summed index is contiguous. A right one is paired along the summed index: its
// values 2p and 2p + 1 for one column lie side by side, at [p][column][2]. Where the machine has no such products,
// factors are floats, nothing is paired, and everything here is the ordinary product. Leading dimensions count values.
#pragma once

#include "attnc_amx.h"
#include "attnc_gemm.h"
#include "attnc_pack.h"

namespace attnc {

template <class S>
ATTNC_INLINE v_float load_part(const S *p, int64_t step, int64_t count) {  // the first lanes, zeros after them
  if (step == 1) return count < lanes<float> ? load_first<float>(p, count) : load_as<float>(p);
  v_float x = {};
  for (int64_t i = 0; i < count && i < lanes<float>; i++) x[i] = widen<float>(p[i * step]);
  return x;
}

#ifdef ATTNC_PAIRS
template <class S> constexpr bool is_narrow = false;
template <> constexpr bool is_narrow<bf16> = true;
ATTNC_INLINE v_uint wide_bits(const bf16 *p) { return (v_uint)widen_piece(load_bytes<p_uint16>(p)); }
ATTNC_INLINE void store_pairs(bf16 *p, v_uint first, v_uint second) { store((int32_t *)p, (v_int)(first | second << 16)); }
ATTNC_INLINE void store_pairs(bf16 *p, v_float first, v_float second) {
  alignas(64) bf16 at[2][lanes<float>];
  store(at[0], first);
  store(at[1], second);
  store_pairs(p, wide_bits(at[0]), wide_bits(at[1]));
}

// A right factor whose summed index is src's rows: dst[r / 2][c][r % 2] = src[r, c]; zeros to ld and to whole pairs.
template <class S>
static void pack_narrow_rows(bf16 *dst, int64_t ld, const S *src, int64_t row_stride, int64_t col_stride, int64_t rows,
                             int64_t cols) {
  for (int64_t r = 0; r < rows; r += 2) {
    const S *first = src + r * row_stride, *second = first + row_stride;
    for (int64_t c = 0; c < ld; c += lanes<float>) {
      const int64_t count = cols - c, odd = r + 1 < rows ? count : 0;
      store_pairs(dst + r * ld + 2 * c, count > 0 ? load_part(first + c * col_stride, col_stride, count) : v_float{},
                  odd > 0 ? load_part(second + c * col_stride, col_stride, odd) : v_float{});
    }
  }
}

// A right factor whose summed index is src's columns: dst[c / 2][r][c % 2] = src[r, c]; zeros from rows to ld and for
// the column that whole pairs may lack. Pairs that lie in memory as such are moved as if they were single numbers.
template <int64_t ld, class S>
static void pack_narrow_panel(bf16 *dst, const S *src, int64_t row_stride, int64_t col_stride, int64_t rows,
                              int64_t cols) {
  if constexpr (sizeof(S) == sizeof(bf16)) {
    if (is_narrow<S> && col_stride == 1 && row_stride % 2 == 0 && cols % 2 == 0 && (uintptr_t)src % 4 == 0)
      return pack_transposed<float, float>((float *)dst, ld, (const float *)src, row_stride / 2, 1, rows, cols / 2);
  }
  constexpr int64_t most = 16;
  alignas(64) float lines[most * ld];
  for (int64_t c = 0; c < cols; c += most) {
    const int64_t count = cols - c < most ? cols - c : most;
    pack_transposed<float, S>(lines, ld, src + c * col_stride, row_stride, col_stride, rows, count);
    if (count % 2) memset(lines + count * ld, 0, ld * sizeof(float));
    for (int64_t n = 0; n < count; n += 2)
      for (int64_t r = 0; r < ld; r += lanes<float>)
        store_pairs(dst + (c + n) * ld + 2 * r, load(lines + n * ld + r), load(lines + (n + 1) * ld + r));
  }
}

// A left factor: rows of `stride` values, of which those from `width` on are 0.
static inline void narrow_rows(bf16 *dst, const float *src, int64_t rows, int64_t stride, int64_t width) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t w = 0; w < stride; w += lanes<float>)
      store(dst + r * stride + w, width - w < lanes<float> ? load_first<float>(src + r * stride + w, width - w)
                                                           : load(src + r * stride + w));
}

// C[m, begin:end] = A B[:, begin:end], see gemm_columns.
static inline void narrow_columns(int64_t m, int64_t begin, int64_t end, int64_t k, const bf16 *a, int64_t lda,
                                  const bf16 *b, int64_t ldb, float *c, int64_t ldc) {
  const pair *left = (const pair *)a, *right = (const pair *)b;
  int64_t pairs = (k + 1) / 2, rows = 0;
#ifdef ATTNC_TILES
  const int64_t whole = pairs / tile_pairs * tile_pairs;
  if (whole == pairs && m >= tile_rows && has_tiles()) {
    rows = m / tile_rows * tile_rows;
    tile_products(rows, (end - begin + 15) / 16 * 16, whole, left, lda / 2, right + begin, ldb, c + begin, ldc, false);
  }
#endif
  gemm_columns<float>(m - rows, begin, end, pairs, left + rows * (lda / 2), lda / 2, right, ldb, c + rows * ldc, ldc);
}

// C += A B, k values of each row of A. Of the last pair of an odd k, the second value is nothing.
template <int columns>
static void narrow_product(int64_t m, int64_t k, const bf16 *a, int64_t lda, const bf16 *b, int64_t ldb, float *c,
                           int64_t ldc) {
  const pair *left = (const pair *)a, *right = (const pair *)b;
  int64_t pairs = k / 2, done = 0, rows = 0;
#ifdef ATTNC_TILES
  if (m >= tile_rows && pairs >= tile_pairs && has_tiles()) {
    rows = m / tile_rows * tile_rows, done = pairs / tile_pairs * tile_pairs;
    tile_products(rows, columns, done, left, lda / 2, right, ldb, c, ldc, true);
    gemm<float, columns>(rows, columns, pairs - done, left + done, lda / 2, 1, right + done * ldb, ldb, c, ldc, true);
  }
#endif
  (void)done;
  left += rows * (lda / 2);
  gemm<float, columns>(m - rows, columns, pairs, left, lda / 2, 1, right, ldb, c + rows * ldc, ldc, true);
  if (k % 2 == 0) return;
  for (int64_t r = 0; r < m; r++) {
    const v_float x = splat<float>(widen<float>(a[r * lda + k - 1]));
    for (int64_t w = 0; w < columns; w += lanes<float>) {
      const v_uint both = (v_uint)load((const int32_t *)(b + (k - 1) * ldb) + w);
      store(c + r * ldc + w, load(c + r * ldc + w) + x * (v_float)(both << 16));
    }
  }
}

// C[begin:end, :] (+)= A[:, begin:end] turned, times B: the summed index is the rows of A, and of what B was made of.
// `turned` has room for as much as A.
template <int columns>
static void narrow_turned(int64_t begin, int64_t end, int64_t rows, const bf16 *a, int64_t lda, bf16 *turned,
                          const bf16 *b, int64_t ldb, float *c, int64_t ldc, bool accumulate) {
  for (int64_t r = 0; r < rows; r += 2)
    for (int64_t at = begin; at < end; at += lanes<float>)
      store_pairs(turned + r * lda + 2 * at, wide_bits(a + r * lda + at),
                  r + 1 < rows ? wide_bits(a + (r + 1) * lda + at) : v_uint{});
  gemm<float, columns>(end - begin, columns, (rows + 1) / 2, (const pair *)turned + begin, 1, lda, (const pair *)b,
                       ldb, c, ldc, accumulate);
}
#else
template <class S>
static void pack_narrow_rows(float *dst, int64_t ld, const S *src, int64_t row_stride, int64_t col_stride,
                             int64_t rows, int64_t cols) {
  pack_rows<float, S>(dst, ld, src, row_stride, col_stride, rows, cols);
}
template <int64_t ld, class S>
static void pack_narrow_panel(float *dst, const S *src, int64_t row_stride, int64_t col_stride, int64_t rows,
                              int64_t cols) {
  pack_transposed<float, S>(dst, ld, src, row_stride, col_stride, rows, cols);
}
static inline void narrow_rows(float *dst, const float *src, int64_t rows, int64_t stride, int64_t width) {
  (void)width;
  memcpy(dst, src, rows * stride * sizeof(float));
}
static inline void narrow_columns(int64_t m, int64_t begin, int64_t end, int64_t k, const float *a, int64_t lda,
                                  const float *b, int64_t ldb, float *c, int64_t ldc) {
  gemm_columns<float>(m, begin, end, k, a, lda, b, ldb, c, ldc);
}
template <int columns>
static void narrow_product(int64_t m, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                           int64_t ldc) {
  gemm<float, columns>(m, columns, k, a, lda, 1, b, ldb, c, ldc, true);
}
template <int columns>
static void narrow_turned(int64_t begin, int64_t end, int64_t rows, const float *a, int64_t lda, float *turned,
                          const float *b, int64_t ldb, float *c, int64_t ldc, bool accumulate) {
  (void)turned;
  gemm<float, columns>(end - begin, columns, rows, a + begin, 1, lda, b, ldb, c, ldc, accumulate);
}
#endif

}  // namespace attnc
