// Units of eight rows on AVX-512: registers hold 16 sums, the weights of 32 channels and one
// activation.
#pragma once

#include <immintrin.h>

#include <type_traits>

#include "kernels/tiled/scaling.hpp"

namespace homerun::HOMERUN_ISA::tiled {
namespace {

// From so many rows on products want them in tiles; fewer stream weights from memory as fast.
constexpr int kFewestRows = 16;
constexpr int kFloat = 4;  // bytes

// sums += four products per lane. Not the intrinsic: with it GCC 12 moves the sums of a large tile
// to memory and back around every instruction.
inline void multiply_add(__m512i& sums, __m512i unsigned_bytes, __m512i signed_bytes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(unsigned_bytes), "v"(signed_bytes));
}

// Products with int8 weights: exact sums, whatever the parts.
struct Int8Unit {
  static constexpr int kRows = 8;
  static constexpr int kRowBytes = 1, kWeightBytes = 1;
  static constexpr int kPart = 512, kPartAlone = kPart;
  using Panel = PlainPanel;

  template <int rows = kRows>
  static void add(const UnitRows& from, const char* weights, int steps, bool first, char* sums,
                  Ahead& ahead) {
    if constexpr (rows > 1)
      if (from.rows < rows) return add<rows - 1>(from, weights, steps, first, sums, ahead);
    __m512i tile[rows][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++)
        tile[r][h] = first ? __m512i{} : _mm512_load_si512(sums + r * kSumsStride + 64 * h);
    const char* x = from.first;
    for (int step = 0; step < steps; step++, x += from.step_bytes) {
      ahead.ask();
      for (int k = 0; k < kRowTileBytes; k += 16, weights += 16 * kPanel)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          const __m512i left = _mm512_loadu_si512(weights + i * 128);
          const __m512i right = _mm512_loadu_si512(weights + i * 128 + 64);
#pragma GCC unroll 8
          for (int r = 0; r < rows; r++) {
            std::int32_t four;
            __builtin_memcpy(&four, x + r * kRowTileBytes + k + 4 * i, 4);
            const __m512i bytes = _mm512_set1_epi32(four);
            multiply_add(tile[r][0], left, bytes);
            multiply_add(tile[r][1], right, bytes);
          }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++)
        _mm512_store_si512(sums + r * kSumsStride + 64 * h, tile[r][h]);
  }
};

// A part of a panel of float16, widened once for all units.
class WidePanel {
 public:
  WidePanel(const char* first, int bytes) {
    const auto* weights = reinterpret_cast<const std::uint16_t*>(first);
    for (int i = 0; i < bytes / kFloat * kPanel; i += kHalf)
      _mm512_store_ps(wide_ + i, _mm512_cvtph_ps(_mm256_loadu_si256(
                                     reinterpret_cast<const __m256i*>(weights + i))));
  }
  const char* at(std::size_t k) const {
    return reinterpret_cast<const char*>(wide_ + k / kFloat * kPanel);
  }

 private:
  alignas(64) float wide_[kSumBlock * kPanel];
};

// sum += weights · activation. Not the intrinsic: with it GCC 12 copies sums from one register to
// another all the time.
inline void multiply_add(__m512& sum, __m512 weights, __m512 activation) {
  asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(activation));
}

// Products with float32 (4) or float16 (2) weights. A part of K is a block of kSumBlock, whose sum
// is one chain; `sums` are the totals of the blocks. As linear_float.cpp has it.
template <int weight_bytes>
struct FloatUnit {
  static constexpr int kRows = 8;
  static constexpr int kRowBytes = kFloat, kWeightBytes = weight_bytes;
  static constexpr int kPart = kSumBlock * kRowBytes, kPartAlone = kPart;
  using Panel = std::conditional_t<weight_bytes == kFloat, PlainPanel, WidePanel>;

  template <int rows = kRows>
  static void add(const UnitRows& from, const char* panel, int steps, bool first, char* sums,
                  Ahead& ahead) {
    if constexpr (rows > 1)
      if (from.rows < rows) return add<rows - 1>(from, panel, steps, first, sums, ahead);
    const auto* weights = reinterpret_cast<const float*>(panel);
    __m512 chains[rows][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) chains[r][0] = chains[r][1] = _mm512_setzero_ps();
    const char* x = from.first;
    for (int step = 0; step < steps; step++, x += from.step_bytes) {
      ahead.ask();
      for (int line = 0; line < kRowTileBytes; line += 16, weights += 4 * kPanel)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          const __m512 left = _mm512_loadu_ps(weights + i * kPanel);
          const __m512 right = _mm512_loadu_ps(weights + i * kPanel + kHalf);
#pragma GCC unroll 8
          for (int r = 0; r < rows; r++) {
            float number;
            __builtin_memcpy(&number, x + r * kRowTileBytes + line + 4 * i, 4);
            const __m512 activation = _mm512_set1_ps(number);
            multiply_add(chains[r][0], left, activation);
            multiply_add(chains[r][1], right, activation);
          }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++) {
        float* total = reinterpret_cast<float*>(sums) + r * kPanel + h * kHalf;
        const __m512 chain = chains[r][h];
        _mm512_store_ps(total, first ? chain : _mm512_add_ps(_mm512_load_ps(total), chain));
      }
  }
};

}  // namespace
}  // namespace homerun::HOMERUN_ISA::tiled
