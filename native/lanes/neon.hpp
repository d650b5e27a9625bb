// Sixteen lanes in four NEON registers, ARMv8-A. See lanes.hpp for what each function means.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace homerun::HOMERUN_ISA {

struct F {
  float32x4_t v[4];
};

// The function on each quarter of its arguments.
template <class Function, class... Lanes>
inline F each(Function function, Lanes... a) {
  return {{function(a.v[0]...), function(a.v[1]...), function(a.v[2]...), function(a.v[3]...)}};
}

inline F set(float x) {
  const float32x4_t all = vdupq_n_f32(x);
  return {{all, all, all, all}};
}
inline F zero() { return set(0.0f); }
inline F load(const float* p) {
  return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}
inline F load(const float* p, int n) {
  float whole[16] = {};
  for (int i = 0; i < n; i++) whole[i] = p[i];
  return load(whole);
}
inline void store(float* p, F a) {
  for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, a.v[i]);
}
inline void store(float* p, F a, int n) {
  float whole[16];
  store(whole, a);
  for (int i = 0; i < n; i++) p[i] = whole[i];
}

inline F add(F a, F b) {
  return each([](float32x4_t x, float32x4_t y) { return vaddq_f32(x, y); }, a, b);
}
inline F sub(F a, F b) {
  return each([](float32x4_t x, float32x4_t y) { return vsubq_f32(x, y); }, a, b);
}
inline F mul(F a, F b) {
  return each([](float32x4_t x, float32x4_t y) { return vmulq_f32(x, y); }, a, b);
}
inline F div(F a, F b) {
  return each([](float32x4_t x, float32x4_t y) { return vdivq_f32(x, y); }, a, b);
}
inline F sqrt(F a) {
  return each([](float32x4_t x) { return vsqrtq_f32(x); }, a);
}
inline F fma(F a, F b, F c) {
  return each([](float32x4_t x, float32x4_t y, float32x4_t z) { return vfmaq_f32(z, x, y); }, a, b,
              c);
}
// Not vmaxq and vminq, which return NaN whichever operand it is.
inline F max(F a, F b) {
  return each([](float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }, a, b);
}
inline F min(F a, F b) {
  return each([](float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); }, a, b);
}
inline F abs(F a) {
  return each([](float32x4_t x) { return vabsq_f32(x); }, a);
}
inline F round_even(F a) {
  return each([](float32x4_t x) { return vrndnq_f32(x); }, a);
}
inline F scale2(F a, F n) {
  // Two steps: 2^n itself may be no normal number. The first step is exact.
  return each(
      [](float32x4_t x, float32x4_t power) {
        const int32x4_t whole = vcvtq_s32_f32(power);
        const int32x4_t half = vshrq_n_s32(whole, 1);
        const int32x4_t rest = vsubq_s32(whole, half);
        const auto power_of_two = [](int32x4_t k) {
          return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(k, vdupq_n_s32(127)), 23));
        };
        return vmulq_f32(vmulq_f32(x, power_of_two(half)), power_of_two(rest));
      },
      a, n);
}
inline F keep_first(F a, int n, F other) {
  float kept[16], whole[16];
  store(kept, other);
  store(whole, a);
  for (int i = 0; i < n; i++) kept[i] = whole[i];
  return load(kept);
}

inline F where_below(F a, F b, F yes, F no) {
  F result;
  for (int i = 0; i < 4; i++)
    result.v[i] = vbslq_f32(vcltq_f32(a.v[i], b.v[i]), yes.v[i], no.v[i]);
  return result;
}

inline F load_int8(const std::int8_t* p) {
  const auto half = [&](int8x8_t bytes, float32x4_t* to) {
    const int16x8_t wide = vmovl_s8(bytes);
    to[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
    to[1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(wide)));
  };
  F result;
  half(vld1_s8(p), result.v);
  half(vld1_s8(p + 8), result.v + 2);
  return result;
}
inline F load_int8(const std::int8_t* p, int n) {
  std::int8_t whole[16] = {};
  for (int i = 0; i < n; i++) whole[i] = p[i];
  return load_int8(whole);
}

inline F load_fp16(const std::uint16_t* p) {
  const auto quarter = [](const std::uint16_t* q) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(q)));
  };
  return {{quarter(p), quarter(p + 4), quarter(p + 8), quarter(p + 12)}};
}
inline F load_bf16(const std::uint16_t* p) {
  const auto quarter = [](const std::uint16_t* q) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(q), 16));
  };
  return {{quarter(p), quarter(p + 4), quarter(p + 8), quarter(p + 12)}};
}
inline F load_fp16(const std::uint16_t* p, int n) {
  std::uint16_t whole[16] = {};
  for (int i = 0; i < n; i++) whole[i] = p[i];
  return load_fp16(whole);
}
inline F load_bf16(const std::uint16_t* p, int n) {
  std::uint16_t whole[16] = {};
  for (int i = 0; i < n; i++) whole[i] = p[i];
  return load_bf16(whole);
}
inline void load_bf16_pairs(const std::uint16_t* p, F& even, F& odd) {
  for (int i = 0; i < 4; i++) {
    const uint32x4_t both = vreinterpretq_u32_u16(vld1q_u16(p + 8 * i));
    even.v[i] = vreinterpretq_f32_u32(vshlq_n_u32(both, 16));
    odd.v[i] = vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000u)));
  }
}

inline uint16x4_t narrow_fp16(float32x4_t a) {
  const float32x4_t largest = vdupq_n_f32(65504.0f), lowest = vdupq_n_f32(-65504.0f);
  // A NaN passes: no comparison with it is true.
  const float32x4_t below = vbslq_f32(vcgtq_f32(a, largest), largest, a);
  const float32x4_t clamped = vbslq_f32(vcltq_f32(below, lowest), lowest, below);
  return vreinterpret_u16_f16(vcvt_f16_f32(clamped));
}
inline uint16x4_t narrow_bf16(float32x4_t a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a);
  const uint32x4_t upper = vshrq_n_u32(bits, 16);
  const uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
  const uint32x4_t half = vaddq_u32(odd, vdupq_n_u32(0x7fff));
  const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, half), 16);
  const uint32x4_t quiet = vorrq_u32(upper, vdupq_n_u32(0x40));
  return vmovn_u32(vbslq_u32(vceqq_f32(a, a), rounded, quiet));
}
inline void store_fp16(std::uint16_t* p, F a) {
  for (int i = 0; i < 4; i++) vst1_u16(p + 4 * i, narrow_fp16(a.v[i]));
}
inline void store_bf16(std::uint16_t* p, F a) {
  for (int i = 0; i < 4; i++) vst1_u16(p + 4 * i, narrow_bf16(a.v[i]));
}
inline void store_fp16(std::uint16_t* p, F a, int n) {
  std::uint16_t whole[16];
  store_fp16(whole, a);
  for (int i = 0; i < n; i++) p[i] = whole[i];
}
inline void store_bf16(std::uint16_t* p, F a, int n) {
  std::uint16_t whole[16];
  store_bf16(whole, a);
  for (int i = 0; i < n; i++) p[i] = whole[i];
}

}  // namespace homerun::HOMERUN_ISA
