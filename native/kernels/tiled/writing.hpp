// Results of a product to where they belong, a panel of a row at a time.
#pragma once

#include <immintrin.h>

#include "kernels/tiled/chunk.hpp"

namespace homerun::HOMERUN_ISA::tiled {
namespace {

constexpr int kHalf = kPanel / 2;  // channels of a register
constexpr int kRowsAhead = 2;      // results are asked of the memory so early

// `sums` are the results of a row with a panel, one register per half; `row` says which.
inline void write_panel(const Product& product, const RowSums& row, int panel,
                        const __m512 (&sums)[2]) {
  float* out = product.out + row.row * product.out_stride + panel * kPanel;
  const int channels = smaller(kPanel, product.weight->n - panel * kPanel);
  const float* more = row.additions ? row.additions + (panel - row.panel_begin) * kPanel : nullptr;
  if (product.past_caches && channels == kPanel) {
    for (int h = 0; h < 2; h++)
      _mm512_stream_ps(out + h * kHalf,
                       more ? _mm512_add_ps(sums[h], _mm512_load_ps(more + h * kHalf)) : sums[h]);
    return;
  }
  // A line of results has to be in the cache before it is added to or written. Beyond the last row
  // this asks for nothing of use, but does no harm.
  for (int h = 0; h < 2; h++)
    __builtin_prefetch(out + kRowsAhead * product.out_stride + h * kHalf, 1);
  for (int h = 0; h < 2 && h * kHalf < channels; h++) {
    const int count = smaller(kHalf, channels - h * kHalf);
    const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1);
    __m512 result = sums[h];
    if (product.add)
      result = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out + h * kHalf), result);
    if (more) result = _mm512_add_ps(result, _mm512_load_ps(more + h * kHalf));
    _mm512_mask_storeu_ps(out + h * kHalf, mask, result);
  }
}

// Sums of floats are the results.
struct Writing {
  const Product& product;
  int panel_sums = kPanelSums;  // bytes from the sums of a panel to those of the next

  void begin_chunk(int, int) const {}
  void part_done(int, int, int, int) const {}
  void group_done(const UnitSums&) const {}
  void write(const RowSums& row) const {
    const char* sums = row.sums;
    for (int panel = row.panel_begin; panel < row.panel_end; panel++, sums += panel_sums) {
      const auto* numbers = reinterpret_cast<const float*>(sums);
      write_panel(product, row, panel,
                  {_mm512_load_ps(numbers), _mm512_load_ps(numbers + kHalf)});
    }
  }
};

}  // namespace
}  // namespace homerun::HOMERUN_ISA::tiled
