// Ranks: the place of every entry of a row in descending order of its value, ties in the order of the columns.
#pragma once

#include "attnc_kernel.h"

namespace attnc {

// What is not there, is there but not counted, is counted.
enum : unsigned char { ABSENT, OUTSIDE, INSIDE };

// A block of rows: values (then ranks), what counts, and room for sorting one row.
template <class T> struct Ranked {
  T *values;
  unsigned char *counts;
  uint64_t *room;
};

static inline int64_t whole_lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }

template <class T> static inline int64_t rank_bytes(int64_t rows, int64_t columns) {
  return whole_lines(rows * columns * (int64_t)sizeof(T)) + whole_lines(rows * columns) + whole_lines(24 * columns);
}

template <class T> static inline Ranked<T> ranked_at(char *memory, int64_t rows, int64_t columns) {
  char *counts = memory + whole_lines(rows * columns * (int64_t)sizeof(T));
  return Ranked<T>{(T *)memory, (unsigned char *)counts, (uint64_t *)(counts + whole_lines(rows * columns))};
}

template <class T, class M> ATTNC_INLINE void mark(unsigned char *counts, M mask, int64_t valid) {
  for (int i = 0; i < lanes<T>; i++) counts[i] = i >= valid ? ABSENT : mask[i] ? INSIDE : OUTSIDE;
}

// Larger values have smaller keys; both zeros have one.
ATTNC_INLINE uint64_t descending(float x) { return 0xffffffffu - (uint64_t)(in_order(x + 0.0f) + 0x80000000ll); }
ATTNC_INLINE uint64_t descending(double x) { return ~((uint64_t)in_order(x + 0.0) ^ 0x8000000000000000ull); }

// By the bytes of keys, the lowest first: what has one byte keeps its order.
template <class T> static void rank_row(T *values, const unsigned char *counts, int64_t columns, uint64_t *room) {
  uint64_t *keys = room, *other_keys = room + columns;
  int32_t *places = (int32_t *)(room + 2 * columns), *other_places = places + columns;
  int64_t count = 0;
  for (int64_t n = 0; n < columns; n++)
    if (counts[n] != ABSENT) {
      keys[count] = descending(values[n]);
      places[count++] = (int32_t)n;
    }
  for (int shift = 0; shift < 8 * (int)sizeof(T); shift += 8) {
    int64_t starts[256] = {0};
    for (int64_t n = 0; n < count; n++) starts[keys[n] >> shift & 255]++;
    if (count > 0 && starts[keys[0] >> shift & 255] == count) continue;
    int64_t total = 0;
    for (int64_t &start : starts) {
      const int64_t own = start;
      start = total;
      total += own;
    }
    for (int64_t n = 0; n < count; n++) {
      const int64_t to = starts[keys[n] >> shift & 255]++;
      other_keys[to] = keys[n];
      other_places[to] = places[n];
    }
    uint64_t *const swapped = keys;
    keys = other_keys;
    other_keys = swapped;
    int32_t *const moved = places;
    places = other_places;
    other_places = moved;
  }
  int64_t before = 0;
  for (int64_t n = 0; n < count; n++) {
    values[places[n]] = T(before);
    before += counts[places[n]] == INSIDE;
  }
}

template <class T> static void rank_rows(Ranked<T> ranked, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; r++)
    rank_row(ranked.values + r * columns, ranked.counts + r * columns, columns, ranked.room);
}

}  // namespace attnc
