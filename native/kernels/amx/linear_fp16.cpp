// Products with large matrices of float16 weights on AMX tiles, which multiply bfloat16.
//
// A float16 number is the sum of two bfloat16 numbers, exactly: its upper eight bits and the other
// three. An activation is rounded to bfloat16, and what that leaves is rounded to it again: sixteen
// bits in all. For every 32 k in order a result adds low activations · high weights, high · high and
// high · low, each in the order of the instruction. The products of low with low that are left out
// are 2^-16 of a product at most.
//
// Splitting weights takes longer than reading them from a cache, and less long than reading them
// from memory. So the matrices of small models stay with the instruction set before this one: the
// size of a matrix decides, never the number of rows.
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

// Two tiles of rows, as a unit of chunk.hpp.
class SplitTilePair {
 public:
  static constexpr int kRows = 2 * kTile;
  static constexpr int kNumberBytes = 2;
  static constexpr int kRowLines = 2;
  static constexpr int kAheadAlone = 2048;

  static int part(int rows) { return rows == 1 ? kUncut : kPart; }

  void add(const UnitRows& rows, const char* weights, int steps, bool first, char* sums,
           Ahead& ahead) {
    if (rows.rows == 1) return add_row(rows, weights, steps, first, sums, ahead);
    const bool split = weights != split_from_;
    split_from_ = weights;
    if (rows.rows > kTile)
      split ? add<true, true>(rows, weights, steps, first, sums, ahead)
            : add<true, false>(rows, weights, steps, first, sums, ahead);
    else
      split ? add<false, true>(rows, weights, steps, first, sums, ahead)
            : add<false, false>(rows, weights, steps, first, sums, ahead);
  }

 private:
  // Lower: whether there is a lower tile of rows. Split: whether the weights are still to be split,
  // those of a step while the ones before are multiplied.
  template <bool Lower, bool Split>
  void add(const UnitRows& rows, const char* weights, int steps, bool first, char* sums,
           Ahead& ahead) {
    if constexpr (Split) split_weights(weights, split_, ahead);
    begin_sums<Lower>(first, sums);
    for (int step = 0; step < steps; step++) {
      if constexpr (Split) {
        const int next = step + 1;
        if (next < steps)
          split_weights(weights + next * kStepWeights, split_ + next * kSplitBytes, ahead);
      } else {
        ahead.ask();
      }
      const char* high_rows = rows.first + step * rows.step_bytes;
      const char* low_rows = high_rows + rows.step_bytes / 2;
      const char* high_weights = split_ + step * kSplitBytes;
      load_weights(high_weights);
      load_rows<Lower>(low_rows, rows.tile_stride);
      multiply_tiles<DType::bf16, Lower>();
      load_rows<Lower>(high_rows, rows.tile_stride);
      multiply_tiles<DType::bf16, Lower>();
      load_weights(high_weights + kStepWeights);
      multiply_tiles<DType::bf16, Lower>();
    }
    end_sums<Lower>(sums);
  }

  static constexpr int kPart = 256;  // what it splits into stays in the L1 cache

  const char* split_from_ = nullptr;
  alignas(64) char split_[kPart / kStep * kSplitBytes];
};

void (*multiply_small)(const Product& product, int row_begin, int row_end, int panel_begin,
                       int panel_end);
void (*pack_row_of_small)(const LinearWeight& weight, const float* row, void* data, float* scales,
                          std::int32_t* offsets, Outliers* outliers);

void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  if (!product.rows.tile_rows)
    return multiply_small(product, row_begin, row_end, panel_begin, panel_end);
  const Tiles tiles(product.rows.tile_rows);
  tiled::multiply_chunks<SplitTilePair>(product, row_begin, row_end, panel_begin, panel_end, 0,
                                        tiled::Writing{product});
}

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
