// Products and packing.
#include "attnc_tile.h"
using namespace attnc;

#define PRODUCTS(T, t)                                                                                              \
  void gemm_##t(int64_t m, int64_t n, int64_t k, const T *a, int64_t a_row, int64_t a_col, const T *b, int64_t ldb, \
                T *c, int64_t ldc, int accumulate) {                                                                \
    gemm(m, n, k, a, a_row, a_col, b, ldb, c, ldc, accumulate != 0);                                                \
  }                                                                                                                 \
  void gemm_scaled_##t(int64_t m, int64_t n, int64_t k, const T *a, int64_t a_row, int64_t a_col, const T *b,       \
                       int64_t ldb, T *c, int64_t ldc, const T *scale) {                                            \
    gemm_scaled(m, n, k, a, a_row, a_col, b, ldb, c, ldc, scale);                                                   \
  }                                                                                                                 \
  void gemm_fixed_##t(int64_t m, int64_t n, int64_t k, const T *a, int64_t a_row, int64_t a_col, const T *b,        \
                      int64_t ldb, T *c, int64_t ldc, int accumulate) {                                             \
    if (n == 16) gemm<T, 16>(m, n, k, a, a_row, a_col, b, ldb, c, ldc, accumulate != 0);                            \
    if (n == 80) gemm<T, 80>(m, n, k, a, a_row, a_col, b, ldb, c, ldc, accumulate != 0);                            \
    if (n == 128) gemm<T, 128>(m, n, k, a, a_row, a_col, b, ldb, c, ldc, accumulate != 0);                          \
  }
#define PACKING(T, t, S, s)                                                                                      \
  void pack_transposed_##t##_##s(T *dst, int64_t ld, const S *src, int64_t row_stride, int64_t col_stride,       \
                                 int64_t rows, int64_t cols) {                                                   \
    pack_transposed<T, S>(dst, ld, src, row_stride, col_stride, rows, cols);                                     \
  }                                                                                                              \
  void pack_rows_##t##_##s(T *dst, int64_t ld, const S *src, int64_t row_stride, int64_t col_stride,             \
                           int64_t rows, int64_t cols) {                                                         \
    pack_rows<T, S>(dst, ld, src, row_stride, col_stride, rows, cols);                                           \
  }

extern "C" {
int vector_bytes() { return ATTNC_VECTOR_BYTES; }
PRODUCTS(float, f) PRODUCTS(double, d)
PACKING(float, f, float, float) PACKING(float, f, bf16, bf16) PACKING(double, d, double, double)
PACKING(double, d, f16, f16)
}
