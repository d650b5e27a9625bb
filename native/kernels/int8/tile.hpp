// What a tile of an int8 product is: some rows, one panel, one group of the sums.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/linear.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

constexpr int smaller(int a, int b) { return a < b ? a : b; }

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
  // Weights that are wanted next, to be brought to the L2 cache meanwhile: `ahead_lines` cache lines
  // for each 16 k of this tile.
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
constexpr int kAhead = 1024;

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
