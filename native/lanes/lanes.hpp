// Sixteen float32 lanes, the same on every instruction set: what is computed with them has the same
// bytes on AVX-512 (one register), AVX2 (two), NEON (four) and portable C++ (an array).
//
// Each <isa>.hpp defines, in namespace homerun::<isa>, a struct F and
//   zero() set(x) load(p) load(p, n) store(p, v) store(p, v, n)     n < 16: the other lanes are 0
//   load_fp16(p) load_bf16(p) (and with n)    exact; p is const uint16_t*
//   load_int8(p) (and with n)                 exact; p is const int8_t*
//   store_fp16(p, v) store_bf16(p, v) (and with n)   nearest even; fp16 saturates at ±65504,
//                                             infinities too; NaN stays NaN
//   load_bf16_pairs(p, even, odd)             32 bfloat16 -> lanes of even and of odd index
//   add sub mul div sqrt fma(a, b, c) = a·b + c, rounded once
//   max(a, b) = a > b ? a : b    min(a, b) = a < b ? a : b    abs
//   round_even(v)                             to an integer, ties to even, |v| < 2^22
//   scale2(v, n) = v · 2^n, rounded once      n holds integers in [-150, 127]; |v| >= 2^-50 or v is 0
//   keep_first(v, n, other)                   lanes < n of v, the others of `other`
//   where_below(a, b, yes, no) = a < b ? yes : no
// and this file builds sum, maximum, exp and exp2 of them. Which NaN an operation gives is left to the
// processor; a NaN that is only moved, picked (max, min, abs) or converted keeps its bits everywhere.
#pragma once

#if defined(HOMERUN_ISA_avx512_vnni) || defined(HOMERUN_ISA_avx512_bf16) || \
    defined(HOMERUN_ISA_amx)
#include "lanes/avx512.hpp"
#elif defined(HOMERUN_ISA_avx2)
#include "lanes/avx2.hpp"
#elif defined(HOMERUN_ISA_neon)
#include "lanes/neon.hpp"
#else
#include "lanes/portable.hpp"
#endif

namespace homerun::HOMERUN_ISA {

// Lanes i and i + 8, then i + 4, i + 2, i + 1: the same tree everywhere. AVX-512 has its own code.
#ifndef HOMERUN_HAS_TREES
inline float sum(F v) {
  alignas(64) float x[16];
  store(x, v);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) x[i] += x[i + width];
  return x[0];
}

inline float maximum(F v) {
  alignas(64) float x[16];
  store(x, v);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) x[i] = x[i] > x[i + width] ? x[i] : x[i + width];
  return x[0];
}
#endif

// e^v for v <= 88; 0 below -104; relative error below 2e-7. NaN stays NaN.
inline F exp(F v) {
  const F low = set(-104.0f);
  const F clamped = max(low, v);  // a NaN passes: max returns the second where it cannot compare
  const F n = round_even(mul(clamped, set(1.44269504088896341f)));
  F r = fma(n, set(-0.693145751953125f), clamped);  // ln 2 in two parts
  r = fma(n, set(-1.42860682030941723e-6f), r);
  F p = set(1.9875691500e-4f);  // Cephes expf
  p = fma(p, r, set(1.3981999507e-3f));
  p = fma(p, r, set(8.3334519073e-3f));
  p = fma(p, r, set(4.1665795894e-2f));
  p = fma(p, r, set(1.6666665459e-1f));
  p = fma(p, r, set(5.0000001201e-1f));
  p = fma(p, mul(r, r), add(r, set(1.0f)));
  return scale2(p, n);
}

// 2^v for v <= 127; 0 below -150; relative error below 1e-7; 2^0 is 1. NaN stays NaN.
inline F exp2(F v) {
  const F clamped = max(set(-150.0f), v);
  const F n = round_even(clamped);
  const F r = sub(clamped, n);
  F p = set(1.5345812426e-4f);  // least largest error for |r| <= 1/2 (Remez)
  p = fma(p, r, set(1.3399930904e-3f));
  p = fma(p, r, set(9.6184890717e-3f));
  p = fma(p, r, set(5.5503286421e-2f));
  p = fma(p, r, set(2.4022646248e-1f));
  p = fma(p, r, set(6.9314718246e-1f));
  p = fma(p, r, set(1.0f));
  return scale2(p, n);
}

// The same for what is rounded to 8 bits anyway: relative error below 3e-6, never below 2^-55.
inline F rough_exp2(F v) {
  const F clamped = max(set(-55.0f), v);
  const F n = round_even(clamped);
  const F r = sub(clamped, n);
  F p = set(9.5828557387e-3f);  // likewise, with 2^0 = 1
  p = fma(p, r, set(5.5906429887e-2f));
  p = fma(p, r, set(2.4024099112e-1f));
  p = fma(p, r, set(6.9312417507e-1f));
  p = fma(p, r, set(1.0f));
  return scale2(p, n);
}

}  // namespace homerun::HOMERUN_ISA
