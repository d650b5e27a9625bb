// Sixteen lanes in plain C++, as four of the vectors that GCC and Clang have for every processor.
// See lanes.hpp for what each function means.
#pragma once

#include <cstdint>
#include <cstring>

namespace homerun::HOMERUN_ISA {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bfloat16 pairs and packed files are");

typedef float Quad __attribute__((vector_size(16)));
typedef std::uint32_t Bits __attribute__((vector_size(16)));
typedef std::int32_t Mask __attribute__((vector_size(16)));  // what a comparison of Quads gives

struct F {
  Quad v[4];
};

// The function on each quarter of its arguments.
template <class Function, class... Lanes>
inline F each(Function function, Lanes... a) {
  return {{function(a.v[0]...), function(a.v[1]...), function(a.v[2]...), function(a.v[3]...)}};
}
// The function of one number, on each of 16.
template <class Function>
inline F each_lane(Function function) {
  F result;
  for (int i = 0; i < 16; i++) result.v[i / 4][i % 4] = function(i);
  return result;
}

inline float number(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline Quad choose(Mask mask, Quad yes, Quad no) {
  return reinterpret_cast<Quad>((reinterpret_cast<Mask>(yes) & mask) |
                                (reinterpret_cast<Mask>(no) & ~mask));
}

inline F set(float x) {
  const Quad all = {x, x, x, x};
  return {{all, all, all, all}};
}
inline F zero() { return set(0.0f); }
inline F load(const float* p) {
  F a;
  std::memcpy(&a, p, sizeof a);
  return a;
}
inline F load(const float* p, int n) {
  float whole[16] = {};
  for (int i = 0; i < n; i++) whole[i] = p[i];
  return load(whole);
}
inline void store(float* p, F a) { std::memcpy(p, &a, sizeof a); }
inline void store(float* p, F a, int n) {
  float whole[16];
  store(whole, a);
  for (int i = 0; i < n; i++) p[i] = whole[i];
}

inline F add(F a, F b) {
  return each([](Quad x, Quad y) { return x + y; }, a, b);
}
inline F sub(F a, F b) {
  return each([](Quad x, Quad y) { return x - y; }, a, b);
}
inline F mul(F a, F b) {
  return each([](Quad x, Quad y) { return x * y; }, a, b);
}
inline F div(F a, F b) {
  return each([](Quad x, Quad y) { return x / y; }, a, b);
}
inline F sqrt(F a) {
  return each_lane([&](int i) { return __builtin_sqrtf(a.v[i / 4][i % 4]); });
}

// a·b + c rounded once, without the instruction for it. In double the product is exact; the sum is
// rounded to an odd last bit where it is not exact, so that rounding it to float is the only
// rounding there is (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
inline float fma_lane(float a, float b, float c) {
  const double product = static_cast<double>(a) * b;
  double sum = product + c;
  const double c_part = sum - product;
  const double error = (product - (sum - c_part)) + (c - c_part);
  std::int64_t bits;
  std::memcpy(&bits, &sum, sizeof bits);
  const bool inexact = (error > 0) | (error < 0);  // not with a NaN
  const std::int64_t away = (error > 0) == (sum > 0) ? 1 : -1;
  if (inexact & !(bits & 1)) bits += away;
  std::memcpy(&sum, &bits, sizeof sum);
  return static_cast<float>(sum);
}
inline F fma(F a, F b, F c) {
  float x[16], y[16], z[16], result[16];
  store(x, a);
  store(y, b);
  store(z, c);
  for (int i = 0; i < 16; i++) {
#ifdef __FP_FAST_FMAF
    result[i] = __builtin_fmaf(x[i], y[i], z[i]);
#else
    result[i] = fma_lane(x[i], y[i], z[i]);
#endif
  }
  return load(result);
}
inline F max(F a, F b) {
  return each([](Quad x, Quad y) { return choose(x > y, x, y); }, a, b);
}
inline F min(F a, F b) {
  return each([](Quad x, Quad y) { return choose(x < y, x, y); }, a, b);
}
inline F abs(F a) {
  return each(
      [](Quad x) { return reinterpret_cast<Quad>(reinterpret_cast<Bits>(x) & 0x7fffffffu); }, a);
}
inline F round_even(F a) {
  return each(
      [](Quad x) {
        // Adding 1.5 · 2^23 leaves no bits for a fraction. The sign is kept for -0.
        const Quad large = {12582912.0f, 12582912.0f, 12582912.0f, 12582912.0f};
        const Bits rounded = reinterpret_cast<Bits>((x + large) - large) & 0x7fffffffu;
        return reinterpret_cast<Quad>(rounded | (reinterpret_cast<Bits>(x) & 0x80000000u));
      },
      a);
}
inline F scale2(F a, F n) {
  // Two steps: 2^n itself may be no normal number. The first step is exact.
  return each_lane([&](int i) {
    const float x = a.v[i / 4][i % 4], power = n.v[i / 4][i % 4];
    const int whole = power == power ? static_cast<int>(power) : 0;
    const int half = whole >> 1, rest = whole - half;
    const auto power_of_two = [](int k) {
      return number(static_cast<std::uint32_t>(k + 127) << 23);
    };
    return x * power_of_two(half) * power_of_two(rest);
  });
}
inline F keep_first(F a, int n, F other) {
  return each_lane([&](int i) { return i < n ? a.v[i / 4][i % 4] : other.v[i / 4][i % 4]; });
}

inline F where_below(F a, F b, F yes, F no) {
  return each([](Quad x, Quad y, Quad if_so, Quad if_not) { return choose(x < y, if_so, if_not); },
              a, b, yes, no);
}

inline F load_int8(const std::int8_t* p) {
  return each_lane([&](int i) { return static_cast<float>(p[i]); });
}
inline F load_int8(const std::int8_t* p, int n) {
  return each_lane([&](int i) { return i < n ? static_cast<float>(p[i]) : 0.0f; });
}
inline float widen_fp16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16, rest = half & 0x7fffu;
  if (rest > 0x7c00) return number(sign | 0x7fc00000u | rest << 13);  // NaN
  if (rest == 0x7c00) return number(sign | 0x7f800000u);
  if (rest >= 0x0400) return number(sign | ((rest << 13) + (112u << 23)));
  const float small = static_cast<float>(rest) * 0x1p-24f;
  return number(sign | bits_of(small));
}
inline std::uint16_t narrow_fp16(float x) {
  const std::uint32_t bits = bits_of(x), rest = bits & 0x7fffffffu;
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  std::uint32_t half;
  if (rest > 0x7f800000u) {
    half = 0x7e00u | ((rest >> 13) & 0x03ffu);  // NaN
  } else if (rest >= 0x477fe000u) {
    half = 0x7bff;  // 65504 and above
  } else if (rest >= 0x38800000u) {
    half = (rest - (112u << 23) + 0x0fffu + ((rest >> 13) & 1)) >> 13;
  } else {
    // Below 2^-14 halves count in steps of 2^-24, the last bits of a number around 0.5.
    half = bits_of(number(rest) + 0.5f) - bits_of(0.5f);
  }
  return static_cast<std::uint16_t>(sign | half);
}
inline float widen_bf16(std::uint16_t half) {
  return number(static_cast<std::uint32_t>(half) << 16);
}
inline std::uint16_t narrow_bf16(float x) {
  const std::uint32_t bits = bits_of(x), upper = bits >> 16;
  return static_cast<std::uint16_t>(x != x ? upper | 0x40 : (bits + (upper & 1) + 0x7fff) >> 16);
}

inline F load_fp16(const std::uint16_t* p) {
  return each_lane([&](int i) { return widen_fp16(p[i]); });
}
inline F load_fp16(const std::uint16_t* p, int n) {
  return each_lane([&](int i) { return i < n ? widen_fp16(p[i]) : 0.0f; });
}
inline F load_bf16(const std::uint16_t* p) {
  return each_lane([&](int i) { return widen_bf16(p[i]); });
}
inline F load_bf16(const std::uint16_t* p, int n) {
  return each_lane([&](int i) { return i < n ? widen_bf16(p[i]) : 0.0f; });
}
inline void load_bf16_pairs(const std::uint16_t* p, F& even, F& odd) {
  for (int i = 0; i < 4; i++) {
    Bits both;
    std::memcpy(&both, p + 8 * i, sizeof both);
    even.v[i] = reinterpret_cast<Quad>(both << 16);
    odd.v[i] = reinterpret_cast<Quad>(both & 0xffff0000u);
  }
}
inline void store_fp16(std::uint16_t* p, F a, int n) {
  for (int i = 0; i < n; i++) p[i] = narrow_fp16(a.v[i / 4][i % 4]);
}
inline void store_fp16(std::uint16_t* p, F a) { store_fp16(p, a, 16); }
inline void store_bf16(std::uint16_t* p, F a, int n) {
  for (int i = 0; i < n; i++) p[i] = narrow_bf16(a.v[i / 4][i % 4]);
}
inline void store_bf16(std::uint16_t* p, F a) { store_bf16(p, a, 16); }

}  // namespace homerun::HOMERUN_ISA
