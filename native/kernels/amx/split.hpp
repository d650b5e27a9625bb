// Numbers as sums of bfloat16 numbers, and products of such sums: with tiles, of two parts or three,
// and of rows with float16 weights without. Of activations nothing below 2^-90 is kept, and float16
// weights are multiples of 2^-24: so no sum is denormal, which tiles would flush to zero and ordinary
// registers would not.
#pragma once

#include "kernels/amx/tiles.hpp"
#include "kernels/streams.hpp"
#include "lanes/lanes.hpp"

namespace homerun::amx {
namespace {

using tiled::kCacheLine;

constexpr int kVector = 16;
constexpr int kStepNumbers = 32;                           // of K
constexpr int kStepPairs = kStepWeights / kWeightsStride;  // of k
constexpr int kSplitBytes = 2 * kStepWeights;  // of a step: its high weights, then its low ones
// Few rows read from memory as fast as they compute: they ask so many bytes ahead, into L1.
constexpr int kFewRowsAhead = 1024;
constexpr int kIntoL1 = 3;

inline __m512i upper_halves(__m512i x) {
  return _mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(0xffff0000)));
}
inline __m512 high_of(__m512 x) {
  return _mm512_castsi512_ps(upper_halves(_mm512_castps_si512(x)));
}

// Sixteen numbers: what bfloat16 keeps of them, and the rest, which of float16 is bfloat16 too.
struct Split {
  __m512 high, low;

  explicit Split(__m512 x) : high(high_of(x)), low(_mm512_sub_ps(x, high)) {}
  explicit Split(const std::uint16_t* numbers)
      : Split(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers)))) {}
};

// Numbers of no more than eight bits as bfloat16, in pairs.
inline __m512i pairs(__m512 even, __m512 odd) {
  return _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(even), 16),
                         _mm512_castps_si512(odd));
}

// Two bfloat16 numbers, each in all lanes.
inline void widen_pair(const char* numbers, __m512 (&wide)[2]) {
  std::int32_t bits;
  __builtin_memcpy(&bits, numbers, sizeof bits);
  const __m512i both = _mm512_set1_epi32(bits);
  wide[0] = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
  wide[1] = _mm512_castsi512_ps(upper_halves(both));
}

// What the tiles of sums belong to: two tiles of rows; or one, with this panel or the one after it.
enum class SumTiles { one, one_of_second_panel, two };

template <SumTiles sums>
void multiply_tiles() {
  if constexpr (sums == SumTiles::one_of_second_panel) {
    _tile_dpbf16ps(2, 4, 6);
    _tile_dpbf16ps(3, 4, 7);
  } else {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
  }
  if constexpr (sums == SumTiles::two) {
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

// Adds the products of a step that count. x: high rows, and after each `line` bytes lower ones;
// `lower`: from a tile of rows to the next.
template <SumTiles sums, int parts = 2>
void multiply_split(const char* x, int line, std::size_t lower, const char* weights) {
  const auto load_rows = [&](const char* from) {
    _tile_loadd(4, from, kStep);
    if constexpr (sums == SumTiles::two) _tile_loadd(5, from + lower, kStep);
  };
  const auto load_weights = [](const char* from) {
    _tile_loadd(6, from, kWeightsStride);
    _tile_loadd(7, from + kStep, kWeightsStride);
  };
#pragma GCC unroll 3
  for (int j = 0; j < parts; j++) {
    load_weights(weights + j * kStepWeights);
#pragma GCC unroll 3
    for (int i = parts - 1 - j; i >= 0; i--) {
      const bool in_hand = j > 0 && j == parts - 1;  // the high rows: the products before had them
      if (!in_hand) load_rows(x + i * line);
      multiply_tiles<sums>();
    }
  }
}

// As add_products, of rows and weights in parts.
template <bool Lower, int parts = 2>
void add_split_products(const UnitRows& rows, const char* weights, int steps, bool first,
                        char* sums, Ahead& ahead) {
  begin_sums<Lower>(first, sums);
  for (int step = 0; step < steps; step++) {
    ahead.ask();
    multiply_split<Lower ? SumTiles::two : SumTiles::one, parts>(
        rows.first + step * rows.step_bytes, rows.step_bytes / parts, rows.tile_stride,
        weights + step * parts * kStepWeights);
  }
  end_sums<Lower>(sums);
}

// A step of a panel, [k][32] of float16, into [k / 2][32][2] of bfloat16: high, then low weights.
inline void split_weights(const char* from, char* to, Ahead& ahead) {
  const auto* weights = reinterpret_cast<const std::uint16_t*>(from);
  ahead.ask(ahead.lines % kStepPairs);
  for (int pair = 0; pair < kStepPairs; pair++) {
    ahead.ask<kIntoL1>(ahead.lines / kStepPairs);
#pragma GCC unroll 2
    for (int v = 0; v < kPanel; v += kVector) {
      const Split even(weights + v), odd(weights + kPanel + v);
      _mm512_store_si512(to + 4 * v, pairs(even.high, odd.high));
      _mm512_store_si512(to + kStepWeights + 4 * v, pairs(even.low, odd.low));
    }
    weights += 2 * kPanel;
    to += kWeightsStride;
  }
  // GCC 12 does not know that loads of tiles read memory: it could leave out what was stored.
  asm volatile("" : : : "memory");
}

// A row · weights of neighbouring panels, as tiles would sum them: for each product of a step the
// terms of even k in order, those of odd k, both together, and that to the sum so far. Two panels are
// two streams from memory.
// row: as split_row makes it; panel_bytes: from one panel to the next; sums: [32] of each panel, of
// which the next follows after sums_stride numbers.
template <int Panels>
void multiply_row(const char* row, const char* panel, std::size_t panel_bytes, int steps,
                  float* sums, int sums_stride) {
  constexpr int kVectors = Panels * kPanel / kVector;
  __m512 totals[kVectors] = {};
  for (int step = 0; step < steps; step++, row += 2 * kStep) {
    // Of low · high, high · high and high · low.
    __m512 products[3][kVectors][2] = {};
    for (int k = 0; k < kStep; k += 4, panel += kWeightsStride) {
      __m512 high[2], low[2];
      widen_pair(row + k, high);
      widen_pair(row + kStep + k, low);
#pragma GCC unroll 2
      for (int p = 0; p < Panels; p++) {
        const char* weights = panel + p * panel_bytes;
        expect(weights, kWeightsStride, kFewRowsAhead);
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++)
#pragma GCC unroll 2
          for (int i = 0; i < 2; i++) {
            const Split w(reinterpret_cast<const std::uint16_t*>(weights) + i * kPanel +
                          v * kVector);
            const int to = 2 * p + v;
            products[0][to][i] = _mm512_fmadd_ps(low[i], w.high, products[0][to][i]);
            products[1][to][i] = _mm512_fmadd_ps(high[i], w.high, products[1][to][i]);
            products[2][to][i] = _mm512_fmadd_ps(high[i], w.low, products[2][to][i]);
          }
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++)
#pragma GCC unroll 3
      for (int p = 0; p < 3; p++)
        totals[v] = _mm512_add_ps(totals[v], _mm512_add_ps(products[p][v][0], products[p][v][1]));
  }
  for (int v = 0; v < kVectors; v++)
    _mm512_store_ps(sums + v / 2 * sums_stride + v % 2 * kVector, totals[v]);
}

// Sixteen factors of a row into bfloat16 numbers, high ones and `apart` bytes after them low ones.
// What is beyond the largest of bfloat16 becomes the one NaN.
inline void split_factors(__m512 x, char* to, int apart) {
  const __m512 smallest = _mm512_set1_ps(0x1p-90f), largest = _mm512_set1_ps(0x1.fep127f);
  const auto kept = [&](__m512 some) {
    const __mmask16 large = _mm512_cmp_ps_mask(_mm512_abs_ps(some), smallest, _CMP_GE_OQ);
    return _mm512_maskz_mov_ps(large, some);
  };
  const __mmask16 sound = _mm512_cmp_ps_mask(_mm512_abs_ps(x), largest, _CMP_LE_OQ);
  const __m512 nan = _mm512_set1_ps(__builtin_nanf(""));
  const __m256i high = (__m256i)_mm512_cvtneps_pbh(_mm512_mask_mov_ps(nan, sound, kept(x)));
  const __m512 left = _mm512_maskz_sub_ps(sound, kept(x), widen_bf16(high).v);
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), high);
  _mm256_store_si256(reinterpret_cast<__m256i*>(to + apart),
                     (__m256i)_mm512_cvtneps_pbh(kept(left)));
}

// [k] into lines of 32 bfloat16 numbers, by turns high and low ones, padded with zeros.
inline void split_row(const float* row, int k, int padded_k, char* lines) {
  for (int i = 0; i < padded_k; i += kVector) {
    const int count = k - i;
    const __mmask16 mask = count >= kVector ? 0xffff : count > 0 ? (1u << count) - 1 : 0;
    split_factors(_mm512_maskz_loadu_ps(mask, row + i),
                  lines + i / kStepNumbers * 2 * kStep + i % kStepNumbers * 2, kStep);
  }
}

}  // namespace
}  // namespace homerun::amx
