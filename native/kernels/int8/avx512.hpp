// Tiles of int8 products with vpdpbusd: 16 channels per register, four k per instruction.
#pragma once

#include <immintrin.h>

#include "kernels/tiled/int8_unit.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

// 24 registers of sums, 2 of weights and 1 of a row's bytes: all of them stay in registers.
constexpr int kTileRows = 12;

template <int rows>
void tile(const TileInput& in, const TileOutput& out) {
  constexpr int kHalves = 2;  // of a panel
  // Sums of few rows would wait for the instruction's latency: let each be several partial sums.
  constexpr int kChains = rows <= 2 ? 4 : rows <= 5 ? 2 : 1;
  __m512i sums[kChains][rows][kHalves];
#pragma GCC unroll 4
  for (int chain = 0; chain < kChains; chain++)
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; h++)
        sums[chain][r][h] =
            chain == 0 ? _mm512_set1_epi32(in.offsets[r * in.offsets_stride]) : __m512i{};

  // A pointer for every third row: x86 addresses the others as base + 1 and + 2 strides.
  const std::int8_t* x[(rows + 2) / 3];
  for (int i = 0; i < (rows + 2) / 3; i++) x[i] = in.x + 3 * i * in.x_stride;
  const std::uint8_t* weights = in.weights;

  const std::uint8_t* ahead = in.ahead;
  for (int k = 0; k < in.k; k += 16) {
    for (int i = 0; i < in.ahead_lines; i++, ahead += kLine) __builtin_prefetch(ahead, 0, 2);
#pragma GCC unroll 4
    for (int step = 0; step < 4; step++) {
      const __m512i left = _mm512_loadu_si512(weights + step * 128);
      const __m512i right = _mm512_loadu_si512(weights + step * 128 + 64);
#pragma GCC unroll 12
      for (int r = 0; r < rows; r++) {
        std::int32_t four;
        __builtin_memcpy(&four, x[r / 3] + (r % 3) * in.x_stride + step * 4, 4);
        const __m512i bytes = _mm512_set1_epi32(four);
        tiled::multiply_add(sums[step % kChains][r][0], left, bytes);
        tiled::multiply_add(sums[step % kChains][r][1], right, bytes);
      }
    }
    weights += 4 * 128;
#pragma GCC unroll 4
    for (int i = 0; i < (rows + 2) / 3; i++) x[i] += 16;
  }

#pragma GCC unroll 2
  for (int h = 0; h < kHalves; h++) {
    const __m512 scales = _mm512_loadu_ps(in.scales + 16 * h);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
      __m512i sum = sums[0][r][h];
      for (int chain = 1; chain < kChains; chain++)
        sum = _mm512_add_epi32(sum, sums[chain][r][h]);
      const __m512 row_scale = _mm512_set1_ps(in.row_scales[r * in.row_scales_stride]);
      // As _mm512_cvtepi32_ps, of which GCC 12 believes that it reads an undefined register.
      const auto value = reinterpret_cast<__m512>(
          __builtin_convertvector(reinterpret_cast<__v16si>(sum), __v16sf));
      const __m512 scaled = _mm512_mul_ps(_mm512_mul_ps(value, row_scale), scales);
      float* to = out.to + r * out.stride + 16 * h;
      _mm512_storeu_ps(to, out.add ? _mm512_add_ps(_mm512_loadu_ps(to), scaled) : scaled);
    }
  }
}

}  // namespace
}  // namespace homerun::HOMERUN_ISA
