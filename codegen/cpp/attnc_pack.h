// Copies of strided tensors into contiguous tiles, converting elements and filling up with zeros.
#pragma once

#include "attnc_access.h"

namespace attnc {

// A square of lanes<T> rows is transposed by interleaving row i with the one half a square below, log2(lanes) times.
template <class T> ATTNC_INLINE void transpose_square(vec<T> (&x)[lanes<T>]) {
  ATTNC_UNROLL for (int size = 1; size < lanes<T>; size *= 2) {
    vec<T> y[lanes<T>];
    ATTNC_UNROLL for (int i = 0; i < lanes<T> / 2; i++)
      interleave<T>(x[i], x[i + lanes<T> / 2], y[2 * i], y[2 * i + 1]);
    ATTNC_UNROLL for (int i = 0; i < lanes<T>; i++) x[i] = y[i];
  }
}

// dst[c * ld + r] = src[r * row_stride + c] for at most a square; rows missing count as zeros, and of each row of dst
// only `room` elements may be written.
template <class T, class S>
static void pack_square(T *dst, int64_t ld, int64_t room, const S *src, int64_t row_stride, int64_t rows,
                        int64_t cols) {
  constexpr int L = lanes<T>;
  vec<T> x[L];
  if (rows >= L && cols >= L) {
    ATTNC_UNROLL for (int i = 0; i < L; i++) x[i] = load_as<T>(src + i * row_stride);
  } else {
    alignas(64) T at[L][L] = {};
    for (int64_t i = 0; i < rows && i < L; i++) store(at[i], load_first<T>(src + i * row_stride, cols < L ? cols : L));
    ATTNC_UNROLL for (int i = 0; i < L; i++) x[i] = load(at[i]);
  }
  transpose_square<T>(x);
  if (cols >= L && room >= L) {
    ATTNC_UNROLL for (int i = 0; i < L; i++) store(dst + i * ld, x[i]);
  } else {
    alignas(64) T at[L][L];
    ATTNC_UNROLL for (int i = 0; i < L; i++) store(at[i], x[i]);
    for (int64_t i = 0; i < cols && i < L; i++) memcpy(dst + i * ld, at[i], (room < L ? room : L) * sizeof(T));
  }
}

// dst[r] = src[r * stride] for r < rows, zeros from there to length.
template <class T, class S> static void pack_line(T *dst, int64_t length, const S *src, int64_t stride, int64_t rows) {
  constexpr int L = lanes<T>;
  int64_t r = 0;
  if (stride == 1)
    for (; r + L <= rows; r += L) store(dst + r, load_as<T>(src + r));
  if (stride == 1 && r < rows) {
    const vec<T> x = load_first<T>(src + r, rows - r);
    if (r + L <= length) {
      store(dst + r, x);
      r += L;
    } else {
      store_first(dst + r, rows - r, x);
      r = rows;
    }
  }
  for (; r < rows; r++) dst[r] = widen<T>(src[r * stride]);
  if (r < length) memset(dst + r, 0, (length - r) * sizeof(T));
}

// dst[c * ld + r] = src[r * row_stride + c * col_stride] for r < rows and c < cols, and 0 for rows <= r < ld.
// Strides count elements and may be 0; ld >= rows.
template <class T, class S>
static void pack_transposed(T *dst, int64_t ld, const S *src, int64_t row_stride, int64_t col_stride, int64_t rows,
                            int64_t cols) {
  if (col_stride != 1 || row_stride == 1) {
    for (int64_t c = 0; c < cols; c++) pack_line(dst + c * ld, ld, src + c * col_stride, row_stride, rows);
    return;
  }
  for (int64_t r = 0; r < ld; r += lanes<T>)
    for (int64_t c = 0; c < cols; c += lanes<T>)
      pack_square(dst + c * ld + r, ld, ld - r, src + r * row_stride + c, row_stride, rows - r, cols - c);
}

// dst[r * ld + c] = src[r * row_stride + c * col_stride] for r < rows and c < cols, and 0 for cols <= c < ld.
template <class T, class S>
static void pack_rows(T *dst, int64_t ld, const S *src, int64_t row_stride, int64_t col_stride, int64_t rows,
                      int64_t cols) {
  pack_transposed(dst, ld, src, col_stride, row_stride, cols, rows);
}

}  // namespace attnc
