// What a tile of an int8 product is: some rows, one panel, one group of the sums.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/linear.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

struct TileInput {
  const std::uint8_t* weights;  // [k / 4][32][4]
  const std::int8_t* x;         // first of the rows
  std::size_t x_stride;
  int k;                        // a multiple of 64
  // What the sum of a row starts with, because weights are stored + 128; then the row's scale.
  const std::int32_t* offsets;
  int offsets_stride;
  const float* row_scales;
  int row_scales_stride;
  const float* scales;  // [32], of the channels
  // Weights that are wanted next, to be brought to the L2 cache meanwhile: `ahead_lines` cache
  // lines for each 16 k of this tile.
  const std::uint8_t* ahead;
  int ahead_lines;
};

// to[row][channel] = scaled sum, or += it with `add`.
struct TileOutput {
  float* to;
  std::size_t stride;
  bool add;
};

constexpr int kLine = 64;
constexpr int kLinesPerStep = 16 * kPanel / kLine;  // of weights, for 16 k

// A tile that is alone with its panel reads from memory as fast as it computes, so it asks so many
// bytes ahead: the hardware's own prefetch stops at the end of every 4 KiB page.
constexpr int kAhead = 2048;

// results[channel] += outlier · (weight · scale), for the 32 channels of a panel.
inline void add_outliers(const Outliers& outliers, const LinearWeight& weight, int panel,
                  float* results) {
  const int channel_groups = groups(weight, weight.weight_group);
  const auto* panel_bytes = static_cast<const std::uint8_t*>(weight.panels) +
                            static_cast<std::size_t>(panel) * weight.padded_k * kPanel;
  for (int i = 0; i < outliers.count; i++) {
    const int k = outliers.index[i];
    const int group = weight.weight_group ? k / weight.weight_group : 0;
    const float* scales = weight.scales + (panel * channel_groups + group) * kPanel;
    std::uint32_t four[kPanel];  // of k, and its three neighbours
    __builtin_memcpy(four, panel_bytes + k / 4 * 4 * kPanel, sizeof four);
    for (int c = 0; c < kPanel; c++) {
      const int value = static_cast<int>(four[c] >> (k % 4 * 8) & 0xff) - 128;
      results[c] += outliers.value[i] * (static_cast<float>(value) * scales[c]);
    }
  }
}

// 0, 1, 2, ... as template arguments.
template <int... numbers>
struct Numbers {};
template <int count, int... numbers>
struct CountTo : CountTo<count - 1, count - 1, numbers...> {};
template <int... numbers>
struct CountTo<0, numbers...> {
  using type = Numbers<numbers...>;
};

}  // namespace
}  // namespace homerun::HOMERUN_ISA
