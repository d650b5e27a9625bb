// Exact integer sums of a chunk of rows to results: scaled, and added up over the groups of K.
#pragma once

#include <immintrin.h>

#include <memory>

#include "kernels/tiled/outlier_weights.hpp"
#include "kernels/tiled/writing.hpp"

namespace homerun::HOMERUN_ISA::tiled {
namespace {

// sum · row_scale · scale, for half a panel.
inline __m512 scaled(const std::int32_t* sums, std::int32_t offset, float row_scale,
                     const float* scales) {
  const __m512i sum = _mm512_add_epi32(_mm512_load_si512(sums), _mm512_set1_epi32(offset));
  return _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(row_scale)),
                       _mm512_loadu_ps(scales));
}

// Scales the sums of a chunk of rows and adds them up over the groups of K.
class Scaling {
 public:
  explicit Scaling(const Product& product)
      : product_(product), weight_(*product.weight),
        sum_groups_(groups(weight_, sum_group(weight_))),
        row_groups_(groups(weight_, weight_.activation_group)),
        channel_groups_(groups(weight_, weight_.weight_group)) {}

  void begin_chunk(int row, int rows) const { memory_.outlier_weights.begin(product_, row, rows); }
  void part_done(int panel, int panel_of_group, int begin, int end) const {
    memory_.outlier_weights.take(product_, panel, panel_of_group, begin, end);
  }

  void group_done(const UnitSums& unit) const {
    const auto* sums = reinterpret_cast<const std::int32_t*>(unit.sums);
    for (int r = 0; r < unit.rows; r++, sums += kPanel) {
      float* sum = partial(unit.row_of_chunk + r, unit.panel_of_group);
      __m512 results[2];
      add_group(unit.row + r, unit.panel, unit.group, sums, sum, results);
      for (int h = 0; h < 2; h++) _mm512_store_ps(sum + h * kHalf, results[h]);
    }
  }

  void write(const RowSums& row) const {
    const char* sums = row.sums;
    for (int panel = row.panel_begin; panel < row.panel_end; panel++, sums += kPanelSums) {
      __m512 results[2];
      add_group(row.row, panel, sum_groups_ - 1, reinterpret_cast<const std::int32_t*>(sums),
                partial(row.row_of_chunk, panel - row.panel_begin), results);
      add_outliers(row, panel, results);
      write_panel(product_, row, panel, results);
    }
  }

 private:
  float* partial(int row_of_chunk, int panel_of_group) const {
    return memory_.partial + (panel_of_group * kChunkRows + row_of_chunk) * kPanel;
  }

  // results = what the groups of K before have added up to, plus the sums of this group.
  void add_group(int row, int panel, int group, const std::int32_t* sums, const float* before,
                 __m512 (&results)[2]) const {
    const int k = group * sum_group(weight_);
    const int row_group = weight_.activation_group ? k / weight_.activation_group : 0;
    const int channel_group = weight_.weight_group ? k / weight_.weight_group : 0;
    const float* scales = weight_.scales + (panel * channel_groups_ + channel_group) * kPanel;
    const std::int32_t offset = product_.rows.offsets[row * sum_groups_ + group];
    const float row_scale = product_.rows.scales[row * row_groups_ + row_group];
    for (int h = 0; h < 2; h++) {
      results[h] = scaled(sums + h * kHalf, offset, row_scale, scales + h * kHalf);
      if (group > 0) results[h] = _mm512_add_ps(_mm512_load_ps(before + h * kHalf), results[h]);
    }
  }

  // results += outlier · (weight · scale), outlier by outlier.
  void add_outliers(const RowSums& row, int panel, __m512 (&results)[2]) const {
    const Outliers& outliers = product_.rows.outliers[row.row];
    for (int i = 0; i < outliers.count; i++) {
      const int group = weight_.weight_group ? outliers.index[i] / weight_.weight_group : 0;
      const float* scales = weight_.scales + (panel * channel_groups_ + group) * kPanel;
      const __m512 value = _mm512_set1_ps(outliers.value[i]);
      for (int h = 0; h < 2; h++) {
        const __m512 weights =
            memory_.outlier_weights.weights(row.row_of_chunk, i, panel - row.panel_begin, h);
        const __m512 product = _mm512_mul_ps(weights, _mm512_loadu_ps(scales + h * kHalf));
        results[h] = _mm512_add_ps(results[h], _mm512_mul_ps(value, product));
      }
    }
  }

  const Product& product_;
  const LinearWeight& weight_;
  const int sum_groups_, row_groups_, channel_groups_;
  // Of one chunk after the other. Too large for the stacks of some systems' threads.
  struct Memory {
    OutlierWeights outlier_weights;
    // What the groups of K so far add up to.
    alignas(64) float partial[kGroupPanels * kChunkRows * kPanel];
  };
  // On the heap: threads of a program that links this statically pay for thread_local out of their
  // stack, and are refused where it does not fit.
  static Memory& memory() {
    static thread_local const auto one = std::make_unique_for_overwrite<Memory>();
    return *one;
  }
  Memory& memory_ = memory();
};

}  // namespace
}  // namespace homerun::HOMERUN_ISA::tiled
