// The numbers of a cache and of rows as tiles multiply them: in pairs for the instruction, in parts
// where products are in parts. Knows dtypes; knows nothing of blocks, tokens or scores.
#pragma once

#include "kernels/amx/split.hpp"
#include "kernels/attention/numbers.hpp"

namespace homerun::amx {

// float16 and float32 as the sums of two and of three bfloat16 numbers that they are.
struct SplitFp16 {
  std::uint16_t bits;
};
struct SplitFp32 {
  float value;
};
template <>
inline constexpr Terms kTerms<SplitFp16> = Terms::in_two_parts;
template <>
inline constexpr Terms kTerms<SplitFp32> = Terms::in_three_parts;

namespace {

constexpr int kPair = 2 * kBlock;             // positions, or features, of a panel
constexpr int kPanelLine = kWeightsStride;    // bytes of a panel for two numbers of K
constexpr int kTileBytes = kRowTile * kStep;  // of rows: 16 of them, 32 numbers of K
static_assert(kPair == kPanel && kPair == kPairedTerms && kStep == 2 * kPairedTerms);
static_assert(kStepWeights == kPairedTerms / 2 * kPanelLine);
using Half = std::uint16_t;

// Bytes of a step of K, high parts first: of a panel, of a tile of rows.
template <class Element>
constexpr int kPanelStep = kParts<Element> * kStepWeights;
template <class Element>
constexpr int kRowStep = kParts<Element> * kTileBytes;

// Where a panel has the pair of numbers of K that begins with k.
template <class Element>
constexpr int pair_offset(int k) {
  return k / kPairedTerms * kPanelStep<Element> + k % kPairedTerms / 2 * kPanelLine;
}

inline InParts<2> in_two_parts(F x) {
  const Split split(x.v);
  return {{{split.high}, {split.low}}};
}
// All parts are multiples of 2^-62, so that no product is denormal: of numbers below 2^-39 only the
// first part is kept, below 2^-55 nothing.
inline InParts<3> in_three_parts(F x) {
  const __m512 size = _mm512_abs_ps(x.v);
  const auto at_least = [size](float least) {  // or NaN
    return _mm512_cmp_ps_mask(size, _mm512_set1_ps(least), _CMP_NLT_UQ);
  };
  const __m512 high = high_of(_mm512_maskz_mov_ps(at_least(kLeastBf16), x.v));
  const Split rest(_mm512_maskz_sub_ps(at_least(0x1p-39f), x.v, high));
  return {{{high}, {rest.high}, {rest.low}}};
}

// Sixteen numbers, of which only the first n are read and the others 0.
inline InParts<2> read(const SplitFp16* p) { return in_two_parts(load_fp16(&p->bits)); }
inline InParts<2> read(const SplitFp16* p, int n) { return in_two_parts(load_fp16(&p->bits, n)); }
inline InParts<3> read(const SplitFp32* p) { return in_three_parts(load(&p->value)); }
inline InParts<3> read(const SplitFp32* p, int n) { return in_three_parts(load(&p->value, n)); }

// The first n of 32 numbers: all from 32 on, none below 1.
inline __mmask32 first_of_32(int n) {
  return n >= 32 ? ~__mmask32{0} : (__mmask32{1} << max_of(0, n)) - 1;
}

// 32 numbers likewise, as bfloat16.
inline __m512i read_bf16(const Bf16* p, int n) {
  return _mm512_maskz_loadu_epi16(first_of_32(n), p);
}
inline __m512i read_bf16(const Int8* p, int n) {
  const __m256i bytes = _mm256_maskz_loadu_epi8(first_of_32(n), p);
  const auto widened = [](__m128i half) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(half)); };
  return (__m512i)_mm512_cvtne2ps_pbh(widened(_mm256_extracti128_si256(bytes, 1)),
                                      widened(_mm256_castsi256_si128(bytes)));
}

// Whether numbers are finite, as they are stored.
template <class Element>
class Finite {
 public:
  static constexpr int kNumbers = 64 / sizeof(Element);  // seen at once, at most

  void see(const Element* p, int n) {
    const int halves = n * int(sizeof(Element) / sizeof(Half));
    const __m512i some = _mm512_maskz_loadu_epi16(first_of_32(halves), p);
    largest_ = _mm512_max_epu16(largest_, _mm512_and_si512(some, magnitude_));
  }
  bool all() const {
    constexpr int kInfinity = std::is_same_v<Element, SplitFp16> ? 0x7c00 : 0x7f80;
    return !_mm512_cmpge_epu16_mask(largest_, _mm512_set1_epi16(kInfinity));
  }

 private:
  // Of float32 the upper half says it.
  const __m512i magnitude_ = _mm512_set1_epi32(sizeof(Element) == 4 ? 0x7fff0000 : 0x7fff7fff);
  __m512i largest_ = _mm512_setzero_si512();
};

// The order x0 y0 x1 y1 … of 16 numbers from `x` and from `y` on.
struct Interleaving {
  alignas(64) Half order[32];

  constexpr Interleaving(int x, int y) : order() {
    for (int i = 0; i < 16; i++) {
      order[2 * i] = static_cast<Half>(x + i);
      order[2 * i + 1] = static_cast<Half>(y + i);
    }
  }
  __m512i get() const { return _mm512_load_si512(order); }
};

// Of 16 columns, two numbers of K as a line of each part's panel.
template <int parts>
void store_parts(const InParts<parts>& even, const InParts<parts>& odd, char* to) {
#pragma GCC unroll 3
  for (int i = 0; i < parts; i++)
    _mm512_store_si512(to + i * kStepWeights, pairs(even.at[i].v, odd.at[i].v));
}

// Two features of 16 positions, [2][16], into a line of a panel.
template <class Element>
void store_features(const Element* features, char* to) {
  if constexpr (kParts<Element> > 1) {
    store_parts(read(features), read(features + kBlock), to);
  } else {
    static constexpr Interleaving halves{0, 16};
    const __m512i both = read_bf16(features, 2 * kBlock);
    _mm512_store_si512(to, _mm512_permutexvar_epi16(halves.get(), both));
  }
}

// Features of two positions, n and n_odd of up to 32, into two lines; the others are 0.
template <class Element>
void store_positions(const Element* even, int n, const Element* odd, int n_odd, char* to) {
  if constexpr (kParts<Element> > 1) {
    for (int i = 0; i < kPanel; i += kVector) {
      const auto some = [i](const Element* p, int count) {
        return read(p + i, smaller(kVector, max_of(0, count - i)));
      };
      store_parts(some(even, n), some(odd, n_odd), to + i / kVector * kCacheLine);
    }
  } else {
    static constexpr Interleaving left{0, 32}, right{16, 48};
    const __m512i a = read_bf16(even, n), b = read_bf16(odd, n_odd);
    _mm512_store_si512(to, _mm512_permutex2var_epi16(a, left.get(), b));
    _mm512_store_si512(to + kCacheLine, _mm512_permutex2var_epi16(a, right.get(), b));
  }
}

// As round_bf16, by the instruction.
inline F rounded(F x) { return widen_bf16((__m256i)_mm512_cvtneps_pbh(x.v)); }

// Weights are 0 or at least kLeastBf16. With float16, whose last place is 2^-24 at least, nothing of
// them is too small.
inline InParts<2> parts_of_weight(SplitFp16, F weight) {
  const Split split(weight.v);
  return {{{split.high}, rounded({split.low})}};
}
inline InParts<3> parts_of_weight(SplitFp32, F weight) { return in_three_parts(weight); }

inline void store_half(__m256i x, char* to) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), x);
}
inline void store_rounded(F x, char* to) { store_half((__m256i)_mm512_cvtneps_pbh(x.v), to); }
template <int parts>
void store_parts(const InParts<parts>& x, char* to) {
  alignas(64) static constexpr Half kUpper[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21,
                                                  23, 25, 27, 29, 31};
  const __m512i order = _mm512_load_si512(kUpper);
#pragma GCC unroll 3
  for (int i = 0; i < parts; i++) {
    const __m512i halves = _mm512_permutexvar_epi16(order, _mm512_castps_si512(x.at[i].v));
    store_half(_mm512_castsi512_si256(halves), to + i * kTileBytes);
  }
}

// Sixteen factors of a row: a query's.
template <class Element>
void store_factors(F query, char* to) {
  if constexpr (std::is_same_v<Element, SplitFp32>) {
    store_parts(in_three_parts(query), to);
  } else if constexpr (std::is_same_v<Element, SplitFp16>) {
    split_factors(query.v, to, kTileBytes);
  } else {
    store_rounded(round_factor(query), to);
  }
}

// Likewise weights.
template <class Element>
void store_weights(char* to, F weight) {
  if constexpr (kParts<Element> > 1) {
    store_parts(parts_of_weight(Element{}, weight), to);
  } else {
    store_rounded(weight, to);
  }
}
template <class Element>
void store_weights(char* to, F left, F right) {
  if constexpr (kParts<Element> > 1) {
    store_weights<Element>(to, left);
    store_weights<Element>(to + kStep / 2, right);
  } else {
    _mm512_store_si512(to, (__m512i)_mm512_cvtne2ps_pbh(right.v, left.v));
  }
}

// sums [32 rows][32] = rows · panel over `steps` steps. `lower`: are there more than 16 rows?
template <class Element>
void multiply(const char* tiles, std::size_t tile_stride, bool lower, const char* panel, int steps,
              float* sums) {
  const UnitRows rows{tiles, tile_stride, kRowStep<Element>, lower ? 2 * kRowTile : kRowTile};
  char* to = reinterpret_cast<char*>(sums);
  // GCC 12 does not know that loads of tiles read memory: it could leave out what was stored.
  asm volatile("" : : : "memory");
  Ahead nothing{panel, 0};
  const auto multiply_rows = [&](auto has_lower) {
    constexpr bool kLower = decltype(has_lower)::value;
    if constexpr (kParts<Element> > 1) {
      add_split_products<kLower, kParts<Element>>(rows, panel, steps, true, to, nothing);
    } else {
      add_products<DType::bf16, kLower>(rows, panel, steps, true, to, nothing);
    }
  };
  lower ? multiply_rows(std::true_type{}) : multiply_rows(std::false_type{});
}

}  // namespace
}  // namespace homerun::amx
