// A program that checks the header against plain loops: for machines that only an emulator is there for.
#include <math.h>
#include <stdio.h>

#include "attnc_tile.h"
using namespace attnc;

static float value(int n) { return widen<float>(narrow<bf16>((float)((n * 2654435761u) >> 20) / 2048.0f - 1.0f)); }

static int differs(const char *what, float found, float wanted, float size) {
  if (fabsf(found - wanted) <= 1e-5f * size) return 0;
  printf("%s: %g, not %g\n", what, found, wanted);
  return 1;
}

int main() {
  constexpr int rows = 7, columns = 35, width = 21, stride = 32;
  alignas(64) static float a[rows * stride], b[columns * width], c[rows * 272], scale[64];
  alignas(64) static bf16 keys[columns * width];
  alignas(64) static narrow_factor left[rows * stride], panel[272 * (width + 1)];
  for (int n = 0; n < rows * stride; n++) a[n] = value(n);
  for (int n = 0; n < columns * width; n++) keys[n] = narrow<bf16>(b[n] = value(n + 999));
  narrow_rows(left, a, rows, stride, width);
  pack_narrow_panel<272>(panel, keys, width, 1, columns, width);
  narrow_columns(rows, 0, columns, width, left, stride, panel, 272, c, 272);
  int wrong = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int r = 0; r < rows; r++)
      for (int j = 0; j < columns; j++) {
        float wanted = 0, size = 0;
        for (int w = 0; w < width; w++) wanted += a[r * stride + w] * b[j * width + w], size += fabsf(a[r * stride + w]);
        wrong += differs("product", c[r * 272 + j], wanted, size);
      }
    gemm_dots<float>(rows, 0, columns, width, left, stride, keys, width, c, 272);
  }
  for (int n = 0; n < 64; n++) scale[n] = 3.0f * value(n);
  for (int n = 0; n < 64; n += lanes<float>) {
    alignas(64) float found[3][lanes<float>];
    store(found[0], exp(load(scale + n)));
    store(found[1], tanh(load(scale + n)));
    store(found[2], log(load(scale + n) * load(scale + n) + 1.0f));
    for (int l = 0; l < lanes<float>; l++) {
      const float x = scale[n + l];
      wrong += differs("exp", found[0][l], expf(x), expf(x)) + differs("tanh", found[1][l], tanhf(x), 1);
      wrong += differs("log", found[2][l], logf(x * x + 1), 1);
    }
  }
  return wrong != 0;
}
