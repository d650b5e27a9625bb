// Products with int8 weights: rows quantized to int8, exact integer sums, scaled in float.
// The same bytes on every instruction set: the sums are exact, and what is float is written once.
#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

union Bits {
  float value;
  std::int32_t bits;
};
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

constexpr int smaller(int a, int b) { return a < b ? a : b; }

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

void multiply(const Product& product, int row_begin, int row_end, int panel_begin,
              int panel_end) {
  const LinearWeight& w = *product.weight;
  const int group = sum_group(w);
  const int sum_groups = groups(w, group), weight_groups = groups(w, w.weight_group);
  const int row_groups = groups(w, w.activation_group);
  for (int panel = panel_begin; panel < panel_end; panel++) {
    const int channels = smaller(kPanel, w.n - panel * kPanel);
    for (int row = row_begin; row < row_end; row++) {
      float total[kPanel] = {};
      for (int g = 0; g < sum_groups; g++) {
        const int begin = g * group, end = smaller(begin + group, w.padded_k);
        const auto* x = static_cast<const std::int8_t*>(product.rows.data) +
                        row * product.rows.stride + begin;
        const auto* panel_bytes = static_cast<const std::uint8_t*>(w.panels) +
                                  (static_cast<std::size_t>(panel) * w.padded_k + begin) * kPanel;
        std::int32_t sums[kPanel];
        for (int c = 0; c < kPanel; c++) sums[c] = product.rows.offsets[row * sum_groups + g];
        for (int i = 0; i < end - begin; i += 4)
          for (int c = 0; c < kPanel; c++)
            for (int j = 0; j < 4; j++)
              sums[c] += x[i + j] * panel_bytes[i * kPanel + c * 4 + j];
        const int row_g = w.activation_group ? begin / w.activation_group : 0;
        const int weight_g = w.weight_group ? begin / w.weight_group : 0;
        const float row_scale = product.rows.scales[row * row_groups + row_g];
        const float* scales = w.scales + (panel * weight_groups + weight_g) * kPanel;
        for (int c = 0; c < kPanel; c++) {
          const float term = static_cast<float>(sums[c]) * row_scale * scales[c];
          total[c] = g == 0 ? term : total[c] + term;
        }
      }
      float* out = product.out + row * product.out_stride + panel * kPanel;
      for (int c = 0; c < channels; c++) out[c] = product.add ? out[c] + total[c] : total[c];
    }
  }
}

}  // namespace

void fill_int8(LinearKernels& kernels) {
  kernels.pack_row[static_cast<int>(DType::int8)] = pack_row;
  kernels.multiply[static_cast<int>(DType::int8)] = multiply;
}

}  // namespace homerun::HOMERUN_ISA
