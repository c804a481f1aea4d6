// What a generated kernel uses of the header, to see how long it takes to compile. Not part of the tests.
#include "attnc_tile.h"
using namespace attnc;

extern "C" void typical(const bf16 *q, const bf16 *k, const bf16 *v, float *tile, bf16 *out, int64_t m, int64_t n) {
  float *const keys = tile, *const values = keys + 64 * 256, *const scores = values + 64 * 256;
  float *const rows = scores + 64 * 256, *const sums = rows + 64 * 64, *const factor = sums + 64 * 64;
  pack_rows<float>(rows, 64, q, 64, 1, m, 64);
  pack_transposed<float>(keys, 256, k, 64, 1, n, 64);
  pack_rows<float>(values, 64, v, 64, 1, n, 64);
  gemm<float, 256>(m, 256, 64, rows, 64, 1, keys, 256, scores, 256, false);
  for (int64_t i = 0; i < m; i++) {
    v_float most = splat(-__builtin_inff()), sum = {};
    for (int64_t j = 0; j < 256; j += lanes<float>) {
      const v_float s = select(iota_longs<float>() + j <= i, load(scores + i * 256 + j), splat(-__builtin_inff()));
      most = vmax(most, s);
    }
    factor[i] = hmax(most);
    for (int64_t j = 0; j < 256; j += lanes<float>) {
      const v_float e = exp2(load(scores + i * 256 + j) - factor[i]);
      store(scores + i * 256 + j, e);
      sum += e;
    }
    factor[i] = hsum(sum);
  }
  gemm_scaled<float, 64>(m, 64, n, scores, 256, 1, values, 64, sums, 64, factor);
  for (int64_t i = 0; i < m; i++)
    for (int64_t c = 0; c < 64; c += lanes<float>) store_as(out + i * 64 + c, load(sums + i * 64 + c) / factor[i]);
}
