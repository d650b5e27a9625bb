// Products with large matrices of float16 weights on AMX tiles, which multiply bfloat16.
//
// A finite float16 number is the sum of two bfloat16 numbers, exactly: its upper eight bits and the
// other three. An activation is rounded to bfloat16, and what that leaves is rounded to it again:
// sixteen bits in all. For every 32 k in order a result adds low activations · high weights,
// high · high and high · low, each in the order of the instruction. What is left out, low · low, and
// what rounding an activation twice loses are less than 2^-14 of a product together.
//
// Splitting weights takes longer than reading them from a cache, and less long than reading them
// from memory. So the matrices of small models stay with the instruction set before this one: the
// size of a matrix decides, never the number of rows.
#include <cassert>

#include "kernels/amx/split.hpp"
#include "kernels/parts.hpp"
#include "kernels/tiled/writing.hpp"

namespace homerun::amx {
namespace {

// A matrix of at least so many weights does not stay in an L2 cache of 2 MiB.
constexpr std::int64_t kLarge = 1 << 21;

bool is_large(const LinearWeight& weight) {
  return std::int64_t{weight.n} * weight.padded_k >= kLarge;
}

// Two tiles of rows, as a unit of chunk.hpp. The first one splits the weights for those that follow,
// each step while the one before is multiplied.
class SplitTilePair {
 public:
  static constexpr int kRows = 2 * kTile;
  static constexpr int kNumberBytes = 2;
  static constexpr int kRowLines = 2;
  static constexpr int kAheadAlone = 2048;

  static int part(int) { return kPart; }

  void add(const UnitRows& rows, const char* weights, int steps, bool first, char* sums,
           Ahead& ahead) {
    assert(steps * kStep <= kPart);
    const bool split = weights == split_from_;
    split_from_ = weights;
    if (rows.rows > kTile)
      split ? add_split_products<true>(rows, split_, steps, first, sums, ahead)
            : split_and_add<true>(rows, weights, steps, first, sums, ahead);
    else
      split ? add_split_products<false>(rows, split_, steps, first, sums, ahead)
            : split_and_add<false>(rows, weights, steps, first, sums, ahead);
  }

 private:
  template <bool Lower>
  void split_and_add(const UnitRows& rows, const char* weights, int steps, bool first, char* sums,
                     Ahead& ahead) {
    split_weights(weights, split_, ahead);
    begin_sums<Lower>(first, sums);
    for (int step = 0; step < steps; step++) {
      const int next = step + 1;
      if (next < steps)
        split_weights(weights + next * kStepWeights, split_ + next * kSplitBytes, ahead);
      multiply_split<Lower ? SumTiles::two : SumTiles::one>(
          rows.first + step * rows.step_bytes, rows.step_bytes / 2, rows.tile_stride,
          split_ + step * kSplitBytes);
    }
    end_sums<Lower>(sums);
  }

  static constexpr int kPart = 256;  // what it splits into stays in the L1 cache

  const char* split_from_ = nullptr;
  alignas(64) char split_[kPart / kStep * kSplitBytes];
};

// A tile of rows, or less, and two panels at a time: two streams from memory.
class FewRows {
 public:
  FewRows(const Product& product, int row, int rows)
      : product_(product), row_(row), rows_(rows), additions_(product.additions) {}

  void run(int panel_begin, int panel_end) {
    const tiled::Writing writing{product_, kPanelSums * int(sizeof(float))};
    for (int panel = panel_begin; panel < panel_end; panel += 2) {
      const int end = smaller(panel + 2, panel_end);
      const char* weights =
          static_cast<const char*>(product_.weight->panels) + panel * panel_bytes_;
      const char* x =
          static_cast<const char*>(product_.rows.data) + row_ / kRowTile * product_.rows.stride;
      end - panel == 2 ? multiply<2>(x, weights) : multiply<1>(x, weights);
      tiled::write_rows(writing, additions_, row_, rows_, panel, end,
                        reinterpret_cast<const char*>(sums_));
    }
    if (product_.past_caches) _mm_sfence();  // before anybody is told of the results
  }

 private:
  template <int Panels>
  void multiply(const char* x, const char* weights) {
    if (product_.rows.tile_rows == 1)
      return multiply_row<Panels>(x, weights, panel_bytes_, steps_, sums_, kPanelSums);
    constexpr int kLines = kStepWeights / kCacheLine;
    char* const sums = reinterpret_cast<char*>(sums_);
    Ahead ahead[Panels];
    for (int p = 0; p < Panels; p++) {
      ahead[p] = {weights + p * panel_bytes_ + kFewRowsAhead, kLines};
      split_weights(weights + p * panel_bytes_, split_[0][p], ahead[p]);
    }
    begin_sums<Panels == 2>(true, sums);
    const int line = kStep * product_.rows.tile_rows;
    for (int step = 0; step < steps_; step++, x += 2 * line) {
      weights += kStepWeights;
      if (step + 1 < steps_)
        for (int p = 0; p < Panels; p++)
          split_weights(weights + p * panel_bytes_, split_[(step + 1) % 2][p], ahead[p]);
      multiply_split<SumTiles::one>(x, line, 0, split_[step % 2][0]);
      if constexpr (Panels == 2)
        multiply_split<SumTiles::one_of_second_panel>(x, line, 0, split_[step % 2][1]);
    }
    end_sums<Panels == 2>(sums);
  }

  static constexpr int kPanelSums = kTile * kPanel;

  const Product& product_;
  const int row_, rows_;
  const int steps_ = product_.weight->padded_k / kStepNumbers;
  const std::size_t panel_bytes_ = std::size_t{kStepWeights} * steps_;
  tiled::Additions additions_;
  alignas(64) float sums_[2 * kPanelSums];    // [row][32] of a panel, then of the other
  alignas(64) char split_[2][2][kSplitBytes];  // of this step and the next, of both panels
};

void (*multiply_small)(const Product& product, int row_begin, int row_end, int panel_begin,
                       int panel_end);
void (*pack_row_of_small)(const LinearWeight& weight, const float* row, void* data, float* scales,
                          std::int32_t* offsets, Outliers* outliers);

void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  if (!product.rows.tile_rows)
    return multiply_small(product, row_begin, row_end, panel_begin, panel_end);
  const int rows = row_end - row_begin;
  if (product.rows.tile_rows == 1)
    return FewRows(product, row_begin, rows).run(panel_begin, panel_end);
  const Tiles tiles(product.rows.tile_rows);
  if (rows <= kTile) return FewRows(product, row_begin, rows).run(panel_begin, panel_end);
  tiled::multiply_chunks<SplitTilePair>(product, row_begin, row_end, panel_begin, panel_end, 0,
                                        tiled::Writing{product});
}

// Of every 32 numbers of the row: high, then low.
void pack_row(const LinearWeight& weight, const float* row, void* data, float* scales,
              std::int32_t* offsets, Outliers* outliers) {
  if (!is_large(weight)) return pack_row_of_small(weight, row, data, scales, offsets, outliers);
  split_row(row, weight.k, weight.padded_k, static_cast<char*>(data));
}

}  // namespace

void fill_fp16(LinearKernels& kernels) {
  constexpr int kIndex = static_cast<int>(DType::fp16);
  if (kernels.multiply[kIndex] != multiply) {
    multiply_small = kernels.multiply[kIndex];
    pack_row_of_small = kernels.pack_row[kIndex];
  }
  kernels.multiply[kIndex] = multiply;
  kernels.pack_row[kIndex] = pack_row;
  kernels.fewest_tiled[kIndex] = [](const LinearWeight& weight) {
    return is_large(weight) ? 1 : 0;
  };
}

}  // namespace homerun::amx
