// Sixteen lanes in one AVX-512 register. See lanes.hpp for what each function means.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace homerun::HOMERUN_ISA {

struct F {
  __m512 v;
};

inline __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }

inline F zero() { return {_mm512_setzero_ps()}; }
inline F set(float x) { return {_mm512_set1_ps(x)}; }
inline F load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F load(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
inline void store(float* p, F a) { _mm512_storeu_ps(p, a.v); }
inline void store(float* p, F a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }

inline F add(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F sub(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F mul(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F div(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F sqrt(F a) { return {_mm512_sqrt_ps(a.v)}; }
inline F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F abs(F a) { return {_mm512_abs_ps(a.v)}; }
inline F round_even(F a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline F scale2(F a, F n) { return {_mm512_scalef_ps(a.v, n.v)}; }
inline F keep_first(F a, int n, F other) {
  return {_mm512_mask_mov_ps(other.v, first_lanes(n), a.v)};
}

inline F where_below(F a, F b, F yes, F no) {
  return {_mm512_mask_mov_ps(no.v, _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), yes.v)};
}

inline F widen_int8(__m128i bytes) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))}; }
inline F load_int8(const std::int8_t* p) {
  return widen_int8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline F load_int8(const std::int8_t* p, int n) {
  return widen_int8(_mm_maskz_loadu_epi8(first_lanes(n), p));
}
// The trees of lanes.hpp, without a way through memory.
#define HOMERUN_HAS_TREES 1
template <class Eight, class Four>
inline float tree(F a, const Eight& eight, const Four& four) {
  const __m256 half = eight(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 rest = four(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  rest = four(rest, _mm_movehl_ps(rest, rest));
  return _mm_cvtss_f32(four(rest, _mm_movehdup_ps(rest)));
}
inline float sum(F a) {
  return tree(
      a, [](__m256 x, __m256 y) { return _mm256_add_ps(x, y); },
      [](__m128 x, __m128 y) { return _mm_add_ps(x, y); });
}
inline float maximum(F a) {
  return tree(
      a, [](__m256 x, __m256 y) { return _mm256_max_ps(x, y); },
      [](__m128 x, __m128 y) { return _mm_max_ps(x, y); });
}

inline F widen_fp16(__m256i bits) { return {_mm512_cvtph_ps(bits)}; }
inline F widen_bf16(__m256i bits) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
inline F load_fp16(const std::uint16_t* p) {
  return widen_fp16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F load_fp16(const std::uint16_t* p, int n) {
  return widen_fp16(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}
inline F load_bf16(const std::uint16_t* p) {
  return widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F load_bf16(const std::uint16_t* p, int n) {
  return widen_bf16(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}
inline void load_bf16_pairs(const std::uint16_t* p, F& even, F& odd) {
  const __m512i both = _mm512_loadu_si512(p);
  even = {_mm512_castsi512_ps(_mm512_slli_epi32(both, 16))};
  odd = {_mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(-65536)))};
}

inline __m256i narrow_fp16(F a) {
  const __m512 largest = _mm512_set1_ps(65504.0f);
  const __m512 lowest = _mm512_set1_ps(-65504.0f);
  // Both return the second operand where it is NaN.
  const __m512 clamped = _mm512_max_ps(lowest, _mm512_min_ps(largest, a.v));
  return _mm512_cvtps_ph(clamped, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline __m256i narrow_bf16(F a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
  const __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, quiet));
}
inline void store_fp16(std::uint16_t* p, F a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_fp16(a));
}
inline void store_fp16(std::uint16_t* p, F a, int n) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), narrow_fp16(a));
}
inline void store_bf16(std::uint16_t* p, F a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_bf16(a));
}
inline void store_bf16(std::uint16_t* p, F a, int n) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), narrow_bf16(a));
}

}  // namespace homerun::HOMERUN_ISA
