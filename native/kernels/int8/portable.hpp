// Tiles of int8 products in C++ that compilers turn into vectors of whatever the CPU has.
#pragma once

namespace homerun::HOMERUN_ISA {
namespace {

constexpr int kTileRows = 4;

template <int rows>
void tile(const TileInput& in, const TileOutput& out) {
  std::int32_t sums[rows][kPanel];
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < kPanel; c++) sums[r][c] = in.offsets[r * in.offsets_stride];
  for (int k = 0; k < in.k; k += 4) {
    const std::uint8_t* weights = in.weights + k * kPanel;
    for (int r = 0; r < rows; r++) {
      const std::int8_t* x = in.x + r * in.x_stride + k;
      for (int c = 0; c < kPanel; c++)
        sums[r][c] += x[0] * weights[4 * c] + x[1] * weights[4 * c + 1] +
                      x[2] * weights[4 * c + 2] + x[3] * weights[4 * c + 3];
    }
  }
  for (int r = 0; r < rows; r++) {
    const float row_scale = in.row_scales[r * in.row_scales_stride];
    float* to = out.to + r * out.stride;
    for (int c = 0; c < kPanel; c++) {
      const float scaled = static_cast<float>(sums[r][c]) * row_scale * in.scales[c];
      to[c] = out.add ? to[c] + scaled : scaled;
    }
  }
}

}  // namespace
}  // namespace homerun::HOMERUN_ISA
