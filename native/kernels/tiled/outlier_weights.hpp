// The weights of the numbers that a chunk's rows keep out of quantization. They are set aside while
// their part of a panel is in a cache: by the time results are written it is far away, and a row's
// outliers lie anywhere in K.
#pragma once

#include <immintrin.h>

#include "kernels/tiled/chunk.hpp"

namespace homerun::HOMERUN_ISA::tiled {
namespace {

class OutlierWeights {
 public:
  // rows [row, row + rows) of the product, at most kChunkRows.
  void begin(const Product& product, int row, int rows) {
    const Outliers* outliers = product.rows.outliers + row;
    first_[0] = 0;
    for (int r = 0; r < rows; r++)
      first_[r + 1] = static_cast<std::uint16_t>(first_[r] + outliers[r].count);
    if (!first_[rows]) {
      steps_ = 0;
      return;
    }
    // Ordered by steps of K: counted, then placed.
    shift_ = 6;
    while ((product.weight->padded_k - 1) >> shift_ >= kMostSteps) shift_++;
    steps_ = ((product.weight->padded_k - 1) >> shift_) + 1;
    for (int step = 0; step <= steps_; step++) ends_[step] = 0;
    for (int r = 0; r < rows; r++)
      for (int i = 0; i < outliers[r].count; i++) ends_[(outliers[r].index[i] >> shift_) + 1]++;
    for (int step = 0; step < steps_; step++) ends_[step + 1] += ends_[step];
    for (int r = 0; r < rows; r++)
      for (int i = 0; i < outliers[r].count; i++) {
        const int k = outliers[r].index[i];
        places_[ends_[k >> shift_]++] = {k, first_[r] + i};
      }
  }

  // Sets aside those of k in [begin, end) of a panel.
  void take(const Product& product, int panel, int panel_of_group, int begin, int end) {
    if (!steps_) return;
    const LinearWeight& weight = *product.weight;
    const auto* bytes = static_cast<const std::uint8_t*>(weight.panels) +
                        static_cast<std::size_t>(panel) * weight.padded_k * kPanel;
    const int step = begin >> shift_;
    for (int i = step ? ends_[step - 1] : 0; i < ends_[(end - 1) >> shift_]; i++) {
      const auto [k, place] = places_[i];
      if (k < begin || k >= end) continue;
      const std::uint8_t* four = bytes + k / 4 * 4 * kPanel;  // k and its neighbours
      const __m128i shift = _mm_cvtsi32_si128(k % 4 * 8);
      for (int h = 0; h < 2; h++)
        _mm_store_si128(reinterpret_cast<__m128i*>(taken_[panel_of_group][place] + h * 16),
                        _mm512_cvtepi32_epi8(_mm512_srl_epi32(
                            _mm512_loadu_si512(four + h * kRowTileBytes), shift)));
    }
  }

  // Of the i-th outlier of a row: 16 weights of the left half of the panel, or the right.
  __m512 weights(int row_of_chunk, int i, int panel_of_group, int half) const {
    const auto* bytes = taken_[panel_of_group][first_[row_of_chunk] + i] + half * 16;
    const __m512i numbers =
        _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(numbers, _mm512_set1_epi32(128)));
  }

 private:
  static constexpr int kMost = kChunkRows * Outliers::kMost;
  static constexpr int kMostSteps = 512;

  struct Place {
    int k, place;
  };

  int steps_ = 0, shift_ = 0;
  std::uint16_t first_[kChunkRows + 1];  // of a row, among all in order of rows
  std::uint16_t ends_[kMostSteps + 1];   // of a step, among all in order of steps
  Place places_[kMost];
  alignas(64) std::uint8_t taken_[kGroupPanels][kMost][kPanel];
};

}  // namespace
}  // namespace homerun::HOMERUN_ISA::tiled
