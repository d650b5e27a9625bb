// Products with int8 weights: rows quantized to int8, exact integer sums, scaled in float.
// The same bytes on every instruction set: the sums are exact, and what is float is written once.
//
// int8/<isa>.hpp has the inner loop: kTileRows and tile<rows>.
#include "kernels/int8/tile.hpp"
#include "kernels/parts.hpp"
#include "lanes/lanes.hpp"

#if defined(HOMERUN_ISA_avx512_vnni)
#include "kernels/int8/avx512.hpp"
#elif defined(HOMERUN_ISA_avx2)
#include "kernels/int8/avx2.hpp"
#elif defined(HOMERUN_ISA_neon)
#include "kernels/int8/neon.hpp"
#else
#include "kernels/int8/portable.hpp"
#endif

namespace homerun::HOMERUN_ISA {
namespace {

constexpr std::int32_t kInfinity = 0x7f800000;
constexpr float kSmallestScale = 1.17549435e-38f;  // keeps 1 / scale finite

// The bits of max|x|: bits of positive floats are ordered as the floats are, infinities and NaN
// beyond them.
std::int32_t largest_magnitude(const float* x, int n) {
  std::int32_t largest = 0;
  for (int i = 0; i < n; i++) {
    const std::int32_t magnitude = __builtin_bit_cast(std::int32_t, x[i]) & 0x7fffffff;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

// x / scale to signed bytes.
void quantize(const float* x, int n, float inverse_scale, std::int8_t* out) {
  constexpr float kShift = 12582912.0f;  // 1.5 · 2^23: adding it rounds to an integer, ties to even
  constexpr std::uint32_t kShiftBits = 0x4b400000;
  for (int i = 0; i < n; i++) {
    const float shifted = x[i] * inverse_scale + kShift;
    out[i] = static_cast<std::int8_t>(__builtin_bit_cast(std::uint32_t, shifted) - kShiftBits);
  }
}

std::int32_t sum(const std::int8_t* x, int n) {
  std::int32_t total = 0;
  for (int i = 0; i < n; i++) total += x[i];
  return total;
}

// The sum of |x| in 64 lanes, then their tree: the same on every instruction set.
float sum_of_magnitudes(const float* x, int n) {
  F lanes[4] = {zero(), zero(), zero(), zero()};
  int i = 0;
  for (; i + 64 <= n; i += 64)
    for (int j = 0; j < 4; j++) lanes[j] = add(lanes[j], abs(load(x + i + 16 * j)));
  for (int j = 0; i < n; i += 16, j++)
    lanes[j] = add(lanes[j], abs(n - i < 16 ? load(x + i, n - i) : load(x + i)));
  return sum(add(add(lanes[0], lanes[1]), add(lanes[2], lanes[3])));
}

// Puts x[index] at its place among the outliers, which are ordered by magnitude, then index.
void insert(Outliers& outliers, const float* x, int index) {
  const float magnitude = __builtin_fabsf(x[index]);
  int place = outliers.count;
  while (place > 0 && magnitude > __builtin_fabsf(outliers.value[place - 1])) place--;
  if (place == Outliers::kMost) return;
  if (outliers.count < Outliers::kMost) outliers.count++;
  for (int i = outliers.count - 1; i > place; i--) {
    outliers.index[i] = outliers.index[i - 1];
    outliers.value[i] = outliers.value[i - 1];
  }
  outliers.index[place] = index;
  outliers.value[place] = x[index];
}

// The largest magnitudes above 8 times the mean; none in a row with NaN or infinity.
void find_outliers(const float* x, int n, Outliers& outliers) {
  constexpr int kStep = 64;
  outliers.count = 0;
  const float limit = sum_of_magnitudes(x, n) * (8.0f / static_cast<float>(n));
  if (!(__builtin_bit_cast(float, largest_magnitude(x, n)) > limit)) return;
  float bar = limit;  // what a number has to exceed: the smallest of as many as there may be
  for (int begin = 0; begin < n; begin += kStep) {
    const int numbers = smaller(kStep, n - begin);
    if (!(__builtin_bit_cast(float, largest_magnitude(x + begin, numbers)) > bar)) continue;
    for (int i = begin; i < begin + numbers; i++) {
      if (!(__builtin_fabsf(x[i]) > bar)) continue;
      insert(outliers, x, i);
      if (outliers.count == Outliers::kMost)
        bar = __builtin_fabsf(outliers.value[Outliers::kMost - 1]);
    }
  }
}

// As largest_magnitude(x + begin, end - begin), outliers left out.
std::int32_t largest_without(const Outliers& outliers, const float* x, int begin, int end) {
  std::int32_t largest = 0;
  while (begin < end) {
    int stop = end;  // the next outlier
    for (int i = 0; i < outliers.count; i++)
      if (outliers.index[i] >= begin && outliers.index[i] < stop) stop = outliers.index[i];
    const std::int32_t found = largest_magnitude(x + begin, stop - begin);
    largest = found > largest ? found : largest;
    begin = stop + 1;
  }
  return largest;
}

void pack_row(const LinearWeight& weight, const float* row, void* data, float* scales,
              std::int32_t* offsets, Outliers* outliers) {
  auto* packed = static_cast<std::int8_t*>(data);
  const int k = weight.k, padded_k = weight.padded_k;
  find_outliers(row, k, *outliers);
  const int group = weight.activation_group ? weight.activation_group : padded_k;
  for (int begin = 0, g = 0; begin < padded_k; begin += group, g++) {
    const int numbers = smaller(group, k - begin);
    const std::int32_t largest = largest_without(*outliers, row, begin, begin + numbers);
    if (largest >= kInfinity) {
      scales[g] = __builtin_nanf("");
      __builtin_memset(packed + begin, 0, numbers);
      continue;
    }
    const float scale = __builtin_bit_cast(float, largest) / 127.0f;
    scales[g] = scale > kSmallestScale ? scale : kSmallestScale;
    quantize(row + begin, numbers, 1.0f / scales[g], packed + begin);
  }
  for (int i = 0; i < outliers->count; i++) packed[outliers->index[i]] = 0;
  __builtin_memset(packed + k, 0, padded_k - k);

  const int sums = sum_group(weight);
  for (int begin = 0, g = 0; begin < padded_k; begin += sums, g++)
    offsets[g] = -128 * sum(packed + begin, smaller(sums, padded_k - begin));
}

using Tile = void (*)(const TileInput& in, const TileOutput& out);

// tile<1>, tile<2>, ... by number of rows.
template <int... rows>
Tile tile_of(int wanted, Numbers<rows...>) {
  static constexpr Tile tiles[] = {tile<rows + 1>...};
  return tiles[wanted - 1];
}

// The product of a few rows with one panel: group by group of the sums, or at once.
void multiply_tile(const Product& product, int row, int rows, int panel,
                   const std::uint8_t* ahead, int ahead_lines) {
  const LinearWeight& weight = *product.weight;
  const PackedRows& x = product.rows;
  const Tile run = tile_of(rows, CountTo<kTileRows>::type{});
  const int group = sum_group(weight), sums = groups(weight, group);
  const int row_scales = groups(weight, weight.activation_group);
  const int channel_scales = groups(weight, weight.weight_group);

  const int channels = smaller(kPanel, weight.n - panel * kPanel);
  float* out = product.out + row * product.out_stride + panel * kPanel;
  bool outliers = false;
  for (int r = row; r < row + rows; r++) outliers |= x.outliers[r].count > 0;

  // Results are complete before they are added to something.
  const bool in_place = channels == kPanel && (!product.add || (sums == 1 && !outliers));
  alignas(64) float buffer[kTileRows * kPanel];
  TileOutput to = in_place ? TileOutput{out, product.out_stride, product.add}
                           : TileOutput{buffer, kPanel, false};

  for (int g = 0, begin = 0; g < sums; g++, begin += group) {
    const int row_group = weight.activation_group ? begin / weight.activation_group : 0;
    const int channel_group = weight.weight_group ? begin / weight.weight_group : 0;
    const int k = smaller(group, weight.padded_k - begin);
    TileInput in;
    in.weights = static_cast<const std::uint8_t*>(weight.panels) +
                 (static_cast<std::size_t>(panel) * weight.padded_k + begin) * kPanel;
    in.x = static_cast<const std::int8_t*>(x.data) + row * x.stride + begin;
    in.x_stride = x.stride;
    in.k = k;
    in.offsets = x.offsets + row * sums + g;
    in.offsets_stride = sums;
    in.row_scales = x.scales + row * row_scales + row_group;
    in.row_scales_stride = row_scales;
    in.scales = weight.scales + (panel * channel_scales + channel_group) * kPanel;
    in.ahead = ahead;
    in.ahead_lines = ahead_lines;
    run(in, to);
    ahead += k / 16 * ahead_lines * kLine;
    to.add = g + 1 < sums || to.add;
  }

  if (outliers)
    for (int r = 0; r < rows; r++)
      add_outliers(x.outliers[row + r], weight, panel, to.to + r * to.stride);
  if (in_place) return;
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < channels; c++) {
      float& result = out[r * product.out_stride + c];
      result = product.add ? result + buffer[r * kPanel + c] : buffer[r * kPanel + c];
    }
}

// While the tiles of a panel are computed the next panel comes from memory, evenly: a part with
// each tile.
void multiply(const Product& product, int row_begin, int row_end, int panel_begin,
              int panel_end) {
#if defined(HOMERUN_ISA_avx512_vnni)
  if (product.rows.tile_rows)
    return tiled::multiply_chunks<tiled::Int8Unit>(product, row_begin, row_end, panel_begin,
                                                   panel_end, sum_group(*product.weight),
                                                   tiled::Scaling(product));
#endif
  const int rows = row_end - row_begin;
  const int tiles = (rows + kTileRows - 1) / kTileRows;
  const std::size_t panel_size = static_cast<std::size_t>(product.weight->padded_k) * kPanel;
  const int lines = tiles < kLinesPerStep ? (kLinesPerStep + tiles - 1) / tiles : 1;
  const std::size_t part = panel_size / kLinesPerStep * lines;
  for (int panel = panel_begin; panel < panel_end; panel++) {
    const auto* weights =
        static_cast<const std::uint8_t*>(product.weight->panels) + panel * panel_size;
    for (int i = 0; i < tiles; i++) {  // of sizes as equal as can be
      const int begin = rows * i / tiles, end = rows * (i + 1) / tiles;
      const bool wanted = panel + 1 < panel_end && i * part < panel_size;
      if (tiles == 1)
        multiply_tile(product, row_begin, rows, panel, weights + kAhead, kLinesPerStep);
      else
        multiply_tile(product, row_begin + begin, end - begin, panel,
                      weights + panel_size + i * part, wanted ? lines : 0);
    }
  }
}

}  // namespace

void fill_int8(LinearKernels& kernels) {
  kernels.pack_row[static_cast<int>(DType::int8)] = pack_row;
  kernels.multiply[static_cast<int>(DType::int8)] = multiply;
#if defined(HOMERUN_ISA_avx512_vnni)
  kernels.fewest_tiled[static_cast<int>(DType::int8)] = [](const LinearWeight&) {
    return tiled::kFewestRows;
  };
#endif
}

}  // namespace homerun::HOMERUN_ISA
