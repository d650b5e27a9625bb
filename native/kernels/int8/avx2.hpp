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

// Channels that are computed at a time, eight per register: what the sixteen registers hold.
constexpr int vectors_for(int rows) { return rows <= 2 ? 4 : 2; }

// Adds the products of k numbers and `vectors` · 8 channels.
template <int rows, int vectors>
void add_products(const WideRows<rows>& x, const std::uint8_t* weights, int k,
                  const std::uint8_t* ahead, int ahead_lines, __m256i (&sums)[rows][vectors]) {
  const __m256i low_bytes = _mm256_set1_epi16(0xff);
  __m256i s[rows][vectors];
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) s[r][v] = sums[r][v];
  for (int i = 0; i < k / 4; i++) {
    if (i % 4 == 0)
      for (int line = 0; line < ahead_lines; line++, ahead += kLine)
        __builtin_prefetch(ahead, 0, 2);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      const __m256i bytes =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + 32 * v));
      const __m256i even = _mm256_and_si256(bytes, low_bytes);
      const __m256i odd = _mm256_srli_epi16(bytes, 8);
#pragma GCC unroll 4
      for (int r = 0; r < rows; r++) {
        const __m256i x_even = _mm256_set1_epi32(x.even[r][i]);
        const __m256i x_odd = _mm256_set1_epi32(x.odd[r][i]);
        s[r][v] = _mm256_add_epi32(s[r][v], _mm256_add_epi32(_mm256_madd_epi16(even, x_even),
                                                             _mm256_madd_epi16(odd, x_odd)));
      }
    }
    weights += 4 * kPanel;
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sums[r][v] = s[r][v];
}

template <int rows>
void tile(const TileInput& in, const TileOutput& out) {
  constexpr int kVectors = vectors_for(rows);
  constexpr int kPasses = kPanel / (8 * kVectors);
  __m256i sums[kPasses][rows][kVectors];
  for (int pass = 0; pass < kPasses; pass++)
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < kVectors; v++)
        sums[pass][r][v] = _mm256_set1_epi32(in.offsets[r * in.offsets_stride]);

  WideRows<rows> x;
  for (int begin = 0; begin < in.k; begin += kPart) {
    const int k = smaller(kPart, in.k - begin);
    x.fill(in.x + begin, in.x_stride, k);
    for (int pass = 0; pass < kPasses; pass++)
      add_products<rows, kVectors>(
          x, in.weights + begin * kPanel + pass * kVectors * 32, k,
          in.ahead + begin / 16 * in.ahead_lines * kLine, pass == 0 ? in.ahead_lines : 0,
          sums[pass]);
  }

  for (int pass = 0; pass < kPasses; pass++)
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < kVectors; v++) {
        const int channel = (pass * kVectors + v) * 8;
        const __m256 row_scale = _mm256_set1_ps(in.row_scales[r * in.row_scales_stride]);
        const __m256 scaled =
            _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[pass][r][v]), row_scale),
                          _mm256_loadu_ps(in.scales + channel));
        float* to = out.to + r * out.stride + channel;
        _mm256_storeu_ps(to, out.add ? _mm256_add_ps(_mm256_loadu_ps(to), scaled) : scaled);
      }
}

}  // namespace
}  // namespace homerun::HOMERUN_ISA
