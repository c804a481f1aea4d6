// Products of bfloat16 factors, from plain matrices: packed as generated kernels do.
#include <vector>

#include "attnc_tile.h"
using namespace attnc;

typedef std::vector<narrow_factor> factors;
static factors left_factor(const float *a, int64_t rows, int64_t stride, int64_t width) {
  factors r(rows * stride + 64);
  narrow_rows(r.data(), a, rows, stride, width);
  return r;
}

template <int columns>
static void product_with(int64_t m, int64_t k, const float *a, int64_t lda, const bf16 *b, int64_t width, float *c) {
  factors left = left_factor(a, m, lda, lda), right((k + 1) * columns + 64);
  pack_narrow_rows(right.data(), columns, b, width, 1, k, width);
  narrow_product<columns>(m, k, left.data(), lda, right.data(), columns, c, columns);
}
template <int columns>
static void turned(int64_t begin, int64_t end, int64_t rows, const float *a, int64_t lda, const bf16 *b, int64_t width,
                   float *c) {
  factors left = left_factor(a, rows, lda, lda), right((rows + 1) * columns + 64), room((rows + 1) * lda + 64);
  pack_narrow_rows(right.data(), columns, b, width, 1, rows, width);
  narrow_turned<columns>(begin, end, rows, left.data(), lda, room.data(), right.data(), columns, c, columns, true);
}

extern "C" {
int has_pairs() {
#ifdef ATTNC_PAIRS
  return 1;
#else
  return 0;
#endif
}
// c[m, 272] from `begin` to `end`: rows of a (lda floats, `k` of them used) times rows of b, which lie `step` apart.
void scores(int64_t m, int64_t begin, int64_t end, int64_t k, const float *a, int64_t lda, const bf16 *b, int64_t step,
            int64_t inner, float *c) {
  factors left = left_factor(a, m, lda, k), right(272 * (k + 1) + 64);
  pack_narrow_panel<272>(right.data(), b, step, inner, end, k);
  narrow_columns(m, begin, end, k, left.data(), lda, right.data(), 272, c, 272);
}
void scores_of_floats(int64_t m, int64_t end, int64_t k, const float *a, int64_t lda, const float *b, float *c) {
  factors left = left_factor(a, m, lda, k), right(272 * (k + 1) + 64);
  pack_narrow_panel<272>(right.data(), b, k, 1, end, k);
  narrow_columns(m, 0, end, k, left.data(), lda, right.data(), 272, c, 272);
}
void product_of(int columns, int64_t m, int64_t k, const float *a, int64_t lda, const bf16 *b, int64_t width, float *c) {
  if (columns == 16) product_with<16>(m, k, a, lda, b, width, c);
  if (columns == 64) product_with<64>(m, k, a, lda, b, width, c);
  if (columns == 80) product_with<80>(m, k, a, lda, b, width, c);
}
void turned_of(int columns, int64_t begin, int64_t end, int64_t rows, const float *a, int64_t lda, const bf16 *b,
               int64_t width, float *c) {
  if (columns == 16) turned<16>(begin, end, rows, a, lda, b, width, c);
  if (columns == 64) turned<64>(begin, end, rows, a, lda, b, width, c);
  if (columns == 80) turned<80>(begin, end, rows, a, lda, b, width, c);
}
void dots(int64_t rows, int64_t begin, int64_t end, int64_t width, const float *a, int64_t lda, const bf16 *b,
          int64_t ldb, float *c, int64_t ldc) {
  factors left = left_factor(a, rows, lda, width);
  gemm_dots<float>(rows, begin, end, width, left.data(), lda, b, ldb, c, ldc);
}
void dots_of_floats(int64_t rows, int64_t begin, int64_t end, int64_t width, const float *a, int64_t lda,
                    const float *b, int64_t ldb, float *c, int64_t ldc) {
  gemm_dots<float>(rows, begin, end, width, a, lda, b, ldb, c, ldc);
}
void mix(int width, int64_t rows, int64_t k, const float *a, int64_t lda, const bf16 *b, float *c, int64_t ldc) {
  if (width == 7) gemm_mix<float, 7>(rows, k, a, lda, b, 7, c, ldc);
  if (width == 64) gemm_mix<float, 64>(rows, k, a, lda, b, 64, c, ldc);
  if (width == 150) gemm_mix<float, 150>(rows, k, a, lda, b, 150, c, ldc);
}
}
