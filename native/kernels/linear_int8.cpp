// Products with int8 weights: rows quantized to int8, exact integer sums, scaled in float.
// The same bytes on every instruction set: the sums are exact, and what is float is written once.
//
// int8/<isa>.hpp has the inner loop: kTileRows and tile<rows>.
#include "kernels/int8/tile.hpp"
#include "kernels/parts.hpp"

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
  constexpr std::int32_t kShiftBits = 0x4b400000;
  for (int i = 0; i < n; i++) {
    const float shifted = x[i] * inverse_scale + kShift;
    out[i] = static_cast<std::int8_t>(__builtin_bit_cast(std::int32_t, shifted) - kShiftBits);
  }
}

std::int32_t sum(const std::int8_t* x, int n) {
  std::int32_t total = 0;
  for (int i = 0; i < n; i++) total += x[i];
  return total;
}

void pack_row(const LinearWeight& weight, const float* row, void* data, float* scales,
              std::int32_t* offsets) {
  auto* packed = static_cast<std::int8_t*>(data);
  const int k = weight.k, padded_k = weight.padded_k;
  const int group = weight.activation_group ? weight.activation_group : padded_k;
  for (int begin = 0, g = 0; begin < padded_k; begin += group, g++) {
    const int numbers = smaller(group, k - begin);
    const std::int32_t largest = largest_magnitude(row + begin, numbers);
    if (largest >= kInfinity) {
      scales[g] = __builtin_nanf("");
      __builtin_memset(packed + begin, 0, numbers);
      continue;
    }
    const float scale = __builtin_bit_cast(float, largest) / 127.0f;
    scales[g] = scale > kSmallestScale ? scale : kSmallestScale;
    quantize(row + begin, numbers, 1.0f / scales[g], packed + begin);
  }
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
void multiply_tile(const Product& product, int row, int rows, int panel) {
  const LinearWeight& weight = *product.weight;
  const Tile run = tile_of(rows, CountTo<kTileRows>::type{});
  const int group = sum_group(weight), sums = groups(weight, group);
  const int row_scales = groups(weight, weight.activation_group);
  const int channel_scales = groups(weight, weight.weight_group);

  const int channels = smaller(kPanel, weight.n - panel * kPanel);
  float* out = product.out + row * product.out_stride + panel * kPanel;
  const bool in_place = sums == 1 && channels == kPanel;
  alignas(64) float total[kTileRows * kPanel];
  TileOutput to = in_place ? TileOutput{out, product.out_stride, product.add}
                           : TileOutput{total, kPanel, false};

  for (int g = 0, begin = 0; g < sums; g++, begin += group) {
    const int row_g = weight.activation_group ? begin / weight.activation_group : 0;
    const int channel_g = weight.weight_group ? begin / weight.weight_group : 0;
    run({
            static_cast<const std::uint8_t*>(weight.panels) +
                (static_cast<std::size_t>(panel) * weight.padded_k + begin) * kPanel,
            static_cast<const std::int8_t*>(product.rows.data) + row * product.rows.stride + begin,
            product.rows.stride,
            smaller(group, weight.padded_k - begin),
            product.rows.offsets + row * sums + g,
            sums,
            product.rows.scales + row * row_scales + row_g,
            row_scales,
            weight.scales + (panel * channel_scales + channel_g) * kPanel,
        },
        to);
    to.add = to.add || !in_place;
  }
  if (in_place) return;
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < channels; c++) {
      float& result = out[r * product.out_stride + c];
      result = product.add ? result + total[r * kPanel + c] : total[r * kPanel + c];
    }
}

void multiply(const Product& product, int row_begin, int row_end, int panel_begin,
              int panel_end) {
  const int rows = row_end - row_begin;
  const int tiles = (rows + kTileRows - 1) / kTileRows;
  for (int panel = panel_begin; panel < panel_end; panel++)
    for (int i = 0; i < tiles; i++) {  // of sizes as equal as can be
      const int begin = rows * i / tiles, end = rows * (i + 1) / tiles;
      multiply_tile(product, row_begin + begin, end - begin, panel);
    }
}

}  // namespace

void fill_int8(LinearKernels& kernels) {
  kernels.pack_row[static_cast<int>(DType::int8)] = pack_row;
  kernels.multiply[static_cast<int>(DType::int8)] = multiply;
}

}  // namespace homerun::HOMERUN_ISA
