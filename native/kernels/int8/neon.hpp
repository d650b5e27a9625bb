// Tiles of int8 products on plain NEON (no dot product instruction): two products of bytes fit in
// 16 bits (2 · 127 · 128 < 2^15), then pairs of neighbours are added to 32-bit sums.
#pragma once

#include <arm_neon.h>

namespace homerun::HOMERUN_ISA {
namespace {

constexpr int kTileRows = 3;

template <int rows>
void tile(const TileInput& in, const TileOutput& out) {
  constexpr int kChannels = 16;  // at a time; each register of sums has two halves of two channels
  for (int first = 0; first < kPanel; first += kChannels) {
    int32x4_t sums[rows][kChannels / 2];
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
      for (int i = 0; i < kChannels / 2; i++) sums[r][i] = vdupq_n_s32(0);

    for (int k = 0; k < in.k; k += 8) {
      const std::uint8_t* weights = in.weights + k * kPanel + 4 * first;
      int8x8_t x[rows][2];
#pragma GCC unroll 3
      for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int step = 0; step < 2; step++) {
          std::int32_t four;
          __builtin_memcpy(&four, in.x + r * in.x_stride + k + 4 * step, 4);
          x[r][step] = vreinterpret_s8_s32(vdup_n_s32(four));
        }
#pragma GCC unroll 8
      for (int i = 0; i < kChannels / 2; i++) {
        const uint8x8_t bias = vdup_n_u8(0x80);  // - 128 in two's complement
        const int8x8_t a = vreinterpret_s8_u8(veor_u8(vld1_u8(weights + 8 * i), bias));
        const int8x8_t b =
            vreinterpret_s8_u8(veor_u8(vld1_u8(weights + 4 * kPanel + 8 * i), bias));
#pragma GCC unroll 3
        for (int r = 0; r < rows; r++)
          sums[r][i] = vpadalq_s16(sums[r][i], vmlal_s8(vmull_s8(a, x[r][0]), b, x[r][1]));
      }
    }

#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
      for (int i = 0; i < kChannels / 2; i += 2) {
        const int channel = first + 2 * i;
        const float32x4_t sum = vcvtq_f32_s32(vpaddq_s32(sums[r][i], sums[r][i + 1]));
        const float row_scale = in.row_scales[r * in.row_scales_stride];
        const float32x4_t scaled =
            vmulq_f32(vmulq_n_f32(sum, row_scale), vld1q_f32(in.scales + channel));
        float* to = out.to + r * out.stride + channel;
        vst1q_f32(to, out.add ? vaddq_f32(vld1q_f32(to), scaled) : scaled);
      }
  }
}

}  // namespace
}  // namespace homerun::HOMERUN_ISA
