// Sixteen lanes in two AVX2 registers. See lanes.hpp for what each function means.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace homerun::HOMERUN_ISA {

struct F {
  __m256 low, high;
};

// The function on both halves of its arguments.
template <class Function, class... Lanes>
inline F each(Function function, Lanes... a) {
  return {function(a.low...), function(a.high...)};
}

// All bits of lane i of half 0 or 1 are set if that lane is one of the first n.
inline __m256i first_lanes(int n, int half) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8 * half), index);
}

inline F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline F set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F load(const float* p, int n) {
  return {_mm256_maskload_ps(p, first_lanes(n, 0)), _mm256_maskload_ps(p + 8, first_lanes(n, 1))};
}
inline void store(float* p, F a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
inline void store(float* p, F a, int n) {
  _mm256_maskstore_ps(p, first_lanes(n, 0), a.low);
  _mm256_maskstore_ps(p + 8, first_lanes(n, 1), a.high);
}

inline F add(F a, F b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
inline F sub(F a, F b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline F mul(F a, F b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
inline F div(F a, F b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
inline F sqrt(F a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
inline F fma(F a, F b, F c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline F max(F a, F b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
inline F min(F a, F b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline F abs(F a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
inline F round_even(F a) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.low, kNearest), _mm256_round_ps(a.high, kNearest)};
}
inline F scale2(F a, F n) {
  // Two steps: 2^n itself may be no normal number. The first step is exact.
  return each(
      [](__m256 x, __m256 power) {
        const __m256i bias = _mm256_set1_epi32(127);
        const __m256i whole = _mm256_cvtps_epi32(power);
        const __m256i half = _mm256_srai_epi32(whole, 1);
        const __m256i rest = _mm256_sub_epi32(whole, half);
        const auto power_of_two = [&](__m256i k) {
          return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(k, bias), 23));
        };
        return _mm256_mul_ps(_mm256_mul_ps(x, power_of_two(half)), power_of_two(rest));
      },
      a, n);
}
inline F keep_first(F a, int n, F other) {
  return {_mm256_blendv_ps(other.low, a.low, _mm256_castsi256_ps(first_lanes(n, 0))),
          _mm256_blendv_ps(other.high, a.high, _mm256_castsi256_ps(first_lanes(n, 1)))};
}

inline F where_below(F a, F b, F yes, F no) {
  const auto half = [](__m256 x, __m256 y, __m256 if_so, __m256 if_not) {
    return _mm256_blendv_ps(if_not, if_so, _mm256_cmp_ps(x, y, _CMP_LT_OQ));
  };
  return {half(a.low, b.low, yes.low, no.low), half(a.high, b.high, yes.high, no.high)};
}

inline F load_int8(const std::int8_t* p) {
  const auto half = [](const std::int8_t* q) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(q));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  };
  return {half(p), half(p + 8)};
}
inline F load_int8(const std::int8_t* p, int n) {
  alignas(16) std::int8_t whole[16] = {};
  for (int i = 0; i < n; i++) whole[i] = p[i];
  return load_int8(whole);
}
inline __m128i load_half(const std::uint16_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline __m256 widen_bf16(__m128i bits) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline F load_fp16(const std::uint16_t* p) {
  return {_mm256_cvtph_ps(load_half(p)), _mm256_cvtph_ps(load_half(p + 8))};
}
inline F load_bf16(const std::uint16_t* p) {
  return {widen_bf16(load_half(p)), widen_bf16(load_half(p + 8))};
}
inline F load_fp16(const std::uint16_t* p, int n) {
  alignas(32) std::uint16_t whole[16] = {};
  for (int i = 0; i < n; i++) whole[i] = p[i];
  return load_fp16(whole);
}
inline F load_bf16(const std::uint16_t* p, int n) {
  alignas(32) std::uint16_t whole[16] = {};
  for (int i = 0; i < n; i++) whole[i] = p[i];
  return load_bf16(whole);
}
inline void load_bf16_pairs(const std::uint16_t* p, F& even, F& odd) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 16));
  const __m256i upper = _mm256_set1_epi32(-65536);
  even = {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
  odd = {_mm256_castsi256_ps(_mm256_and_si256(low, upper)),
         _mm256_castsi256_ps(_mm256_and_si256(high, upper))};
}

inline __m128i narrow_fp16(__m256 a) {
  // Both return the second operand where it is NaN.
  const __m256 clamped =
      _mm256_max_ps(_mm256_set1_ps(-65504.0f), _mm256_min_ps(_mm256_set1_ps(65504.0f), a));
  return _mm256_cvtps_ph(clamped, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline __m128i narrow_bf16(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i upper = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
  const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
  const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  const __m256i result = _mm256_blendv_epi8(rounded, quiet, nan);
  return _mm_packus_epi32(_mm256_castsi256_si128(result), _mm256_extracti128_si256(result, 1));
}
inline void store_halves(std::uint16_t* p, __m128i low, __m128i high) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), low);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), high);
}
inline void store_fp16(std::uint16_t* p, F a) {
  store_halves(p, narrow_fp16(a.low), narrow_fp16(a.high));
}
inline void store_bf16(std::uint16_t* p, F a) {
  store_halves(p, narrow_bf16(a.low), narrow_bf16(a.high));
}
inline void store_fp16(std::uint16_t* p, F a, int n) {
  alignas(32) std::uint16_t whole[16];
  store_fp16(whole, a);
  for (int i = 0; i < n; i++) p[i] = whole[i];
}
inline void store_bf16(std::uint16_t* p, F a, int n) {
  alignas(32) std::uint16_t whole[16];
  store_bf16(whole, a);
  for (int i = 0; i < n; i++) p[i] = whole[i];
}

}  // namespace homerun::HOMERUN_ISA
