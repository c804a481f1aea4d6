// Products of bfloat16 pairs in the tiles of AMX: sixteen rows of 64 bytes each, eight of them.
//
// Right factors lie as packed for pairs already. What no whole tile covers is left to the register tiles of vectors.
// With ATTNC_EMULATED_TILES the eight tiles are memory, so that what is computed can be tested where there is no AMX.
#pragma once

#include "attnc_pairs.h"

#if defined(ATTNC_PAIRS) && ATTNC_VECTOR_BYTES == 64 && \
    ((defined(__AMX_BF16__) && defined(__linux__)) || defined(ATTNC_EMULATED_TILES))
#define ATTNC_TILES 1

#ifndef ATTNC_EMULATED_TILES
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace attnc {

constexpr int64_t tile_rows = 16, tile_pairs = 16;  // and as many columns

#ifdef ATTNC_EMULATED_TILES
static thread_local float emulated_tiles[8][16][16];
#define ATTNC_TILE_ZERO(n) memset(emulated_tiles[n], 0, sizeof emulated_tiles[n])
#define ATTNC_TILE_LOAD(n, p, stride) \
  for (int row = 0; row < 16; row++) memcpy(emulated_tiles[n][row], (const char *)(p) + row * (stride), 64)
#define ATTNC_TILE_STORE(n, p, stride) \
  for (int row = 0; row < 16; row++) memcpy((char *)(p) + row * (stride), emulated_tiles[n][row], 64)
#define ATTNC_TILE_DOT(c, a, b) emulated_dot(emulated_tiles[c], emulated_tiles[a], emulated_tiles[b])
static inline void emulated_dot(float (&c)[16][16], const float (&a)[16][16], const float (&b)[16][16]) {
  for (int m = 0; m < 16; m++)
    for (int k = 0; k < 16; k++)
      for (int n = 0; n < 16; n++) {
        const uint32_t x = same_bits<uint32_t>(a[m][k]), y = same_bits<uint32_t>(b[k][n]);
        c[m][n] += same_bits<float>(x << 16) * same_bits<float>(y << 16);
        c[m][n] += same_bits<float>(x & 0xffff0000u) * same_bits<float>(y & 0xffff0000u);
      }
}
static inline bool has_tiles() { return true; }
#else
#define ATTNC_TILE_ZERO(n) __asm__ volatile("tilezero %%tmm" #n ::)
#define ATTNC_TILE_LOAD(n, p, stride) \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #n ::"r"(p), "r"((int64_t)(stride)) : "memory")
#define ATTNC_TILE_STORE(n, p, stride) \
  __asm__ volatile("tilestored %%tmm" #n ", (%0,%1,1)" ::"r"(p), "r"((int64_t)(stride)) : "memory")
#define ATTNC_TILE_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)

struct tile_shapes {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
// Linux lends tiles to a process that asks; each thread says once what shapes they have.
static inline bool has_tiles() {
  static int answer = 0;  // 0: not asked yet; asking twice does no harm
  static thread_local bool is_shaped = false;
  if (is_shaped) return true;
  if (__atomic_load_n(&answer, __ATOMIC_RELAXED) == 0)
    __atomic_store_n(&answer, syscall(SYS_arch_prctl, 0x1023, 18) == 0 ? 1 : -1, __ATOMIC_RELAXED);
  if (__atomic_load_n(&answer, __ATOMIC_RELAXED) < 0) return false;
  alignas(64) const tile_shapes shapes;
  __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
  return is_shaped = true;
}
#endif

// `rows` and `columns` tiles of C (one or two each) += A B, or = where it is not accumulated to.
template <int rows, int columns>
static void tile_block(int64_t pairs, const pair *a, int64_t lda, const pair *b, int64_t ldb, float *c, int64_t ldc,
                       bool accumulate) {
  const int64_t below = 16 * ldc, step_c = 4 * ldc;
  if (accumulate) {
    ATTNC_TILE_LOAD(0, c, step_c);
    if constexpr (columns == 2) ATTNC_TILE_LOAD(1, c + 16, step_c);
    if constexpr (rows == 2) ATTNC_TILE_LOAD(2, c + below, step_c);
    if constexpr (rows == 2 && columns == 2) ATTNC_TILE_LOAD(3, c + below + 16, step_c);
  } else {
    ATTNC_TILE_ZERO(0);
    ATTNC_TILE_ZERO(1);
    ATTNC_TILE_ZERO(2);
    ATTNC_TILE_ZERO(3);
  }
  for (int64_t k = 0; k < pairs; k += tile_pairs) {
    ATTNC_TILE_LOAD(4, a + k, 4 * lda);
    ATTNC_TILE_LOAD(6, b + k * ldb, 4 * ldb);
    ATTNC_TILE_DOT(0, 4, 6);
    if constexpr (columns == 2) {
      ATTNC_TILE_LOAD(7, b + k * ldb + 16, 4 * ldb);
      ATTNC_TILE_DOT(1, 4, 7);
    }
    if constexpr (rows == 2) {
      ATTNC_TILE_LOAD(5, a + 16 * lda + k, 4 * lda);
      ATTNC_TILE_DOT(2, 5, 6);
      if constexpr (columns == 2) ATTNC_TILE_DOT(3, 5, 7);
    }
  }
  ATTNC_TILE_STORE(0, c, step_c);
  if constexpr (columns == 2) ATTNC_TILE_STORE(1, c + 16, step_c);
  if constexpr (rows == 2) ATTNC_TILE_STORE(2, c + below, step_c);
  if constexpr (rows == 2 && columns == 2) ATTNC_TILE_STORE(3, c + below + 16, step_c);
}

// C[m, n] (+)= A B for whole tiles: m, n and pairs are multiples of 16.
static inline void tile_products(int64_t m, int64_t n, int64_t pairs, const pair *a, int64_t lda, const pair *b,
                                 int64_t ldb, float *c, int64_t ldc, bool accumulate) {
  for (int64_t j = 0; j < n; j += 32)
    for (int64_t i = 0; i < m; i += 32) {
      const pair *left = a + i * lda, *right = b + j;
      float *to = c + i * ldc + j;
      if (i + 16 < m && j + 16 < n) tile_block<2, 2>(pairs, left, lda, right, ldb, to, ldc, accumulate);
      else if (i + 16 < m) tile_block<2, 1>(pairs, left, lda, right, ldb, to, ldc, accumulate);
      else if (j + 16 < n) tile_block<1, 2>(pairs, left, lda, right, ldb, to, ldc, accumulate);
      else tile_block<1, 1>(pairs, left, lda, right, ldb, to, ldc, accumulate);
    }
}

}  // namespace attnc
#endif
