// Tiles of int8 products on AVX2: bytes widened to 16 bits, so that vpmaddwd is exact (vpmaddubsw,
// which takes bytes, saturates).
//
// A 16-bit lane of weights holds two k. Its low byte is widened by a mask, its high byte by a
// shift, so a register gives k 0, 2 and k 1, 3 of eight channels without a shuffle. The rows are
// widened the same way beforehand, a part at a time.
#pragma once

#include <immintrin.h>

namespace homerun::HOMERUN_ISA {
namespace {

constexpr int kTileRows = 4;

// k that are widened at a time; the result is small enough for the L1 cache.
constexpr int kPart = 512;

template <int rows>
struct WideRows {
  // Each 32-bit number holds two 16-bit ones: k 0 and 2 of four, k 1 and 3 of four.
  alignas(32) std::int32_t even[rows][kPart / 4];
  alignas(32) std::int32_t odd[rows][kPart / 4];

  void fill(const std::int8_t* x, std::size_t stride, int k) {
    for (int r = 0; r < rows; r++)
      for (int i = 0; i < k / 4; i += 8) {
        const __m256i bytes = _mm256_loadu_si256(
            reinterpret_cast<const __m256i*>(x + r * stride + 4 * i));
        const __m256i low = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
        const __m256i high = _mm256_srai_epi16(bytes, 8);
        _mm256_store_si256(reinterpret_cast<__m256i*>(even[r] + i), low);
        _mm256_store_si256(reinterpret_cast<__m256i*>(odd[r] + i), high);
      }
  }
};

// Sixteen channels, the left or the right half of a panel: two registers per row.
template <int rows>
void half_tile(const TileInput& in, const WideRows<rows>& x, const std::uint8_t* weights, int k,
               __m256i (&sums)[rows][2]) {
  const __m256i low_bytes = _mm256_set1_epi16(0xff);
  __m256i s[rows][2];
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) s[r][0] = sums[r][0], s[r][1] = sums[r][1];
  for (int i = 0; i < k / 4; i++) {
    const auto* from = reinterpret_cast<const __m256i*>(weights);
    const __m256i a = _mm256_loadu_si256(from), b = _mm256_loadu_si256(from + 1);
    const __m256i even[2] = {_mm256_and_si256(a, low_bytes), _mm256_and_si256(b, low_bytes)};
    const __m256i odd[2] = {_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)};
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
      const __m256i x_even = _mm256_set1_epi32(x.even[r][i]);
      const __m256i x_odd = _mm256_set1_epi32(x.odd[r][i]);
#pragma GCC unroll 2
      for (int j = 0; j < 2; j++) {
        s[r][j] = _mm256_add_epi32(s[r][j], _mm256_madd_epi16(even[j], x_even));
        s[r][j] = _mm256_add_epi32(s[r][j], _mm256_madd_epi16(odd[j], x_odd));
      }
    }
    weights += 4 * kPanel;
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) sums[r][0] = s[r][0], sums[r][1] = s[r][1];
}

template <int rows>
void tile(const TileInput& in, const TileOutput& out) {
  __m256i sums[2][rows][2];
  for (int r = 0; r < rows; r++)
    for (int half = 0; half < 2; half++)
      for (int j = 0; j < 2; j++)
        sums[half][r][j] = _mm256_set1_epi32(in.offsets[r * in.offsets_stride]);

  WideRows<rows> x;
  for (int begin = 0; begin < in.k; begin += kPart) {
    const int k = smaller(kPart, in.k - begin);
    x.fill(in.x + begin, in.x_stride, k);
    for (int half = 0; half < 2; half++)
      half_tile<rows>(in, x, in.weights + begin * kPanel + half * 64, k, sums[half]);
  }

  for (int half = 0; half < 2; half++)
    for (int r = 0; r < rows; r++)
      for (int j = 0; j < 2; j++) {
        const int channel = half * 16 + j * 8;
        const __m256 row_scale = _mm256_set1_ps(in.row_scales[r * in.row_scales_stride]);
        const __m256 scaled = _mm256_mul_ps(
            _mm256_mul_ps(_mm256_cvtepi32_ps(sums[half][r][j]), row_scale),
            _mm256_loadu_ps(in.scales + channel));
        float* to = out.to + r * out.stride + channel;
        _mm256_storeu_ps(to, out.add ? _mm256_add_ps(_mm256_loadu_ps(to), scaled) : scaled);
      }
}

}  // namespace
}  // namespace homerun::HOMERUN_ISA
