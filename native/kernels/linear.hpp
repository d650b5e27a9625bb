// Products with packed weight matrices: the types that kernels/, ops/ and bindings/ share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace homerun {

enum class DType : std::uint8_t { fp32, fp16, bf16, int8 };

// Output channels (rows of the weight matrix) that lie side by side in a panel.
constexpr int kPanel = 32;
// in_features is padded with zeros to a multiple of this.
constexpr int kPadding = 64;
// Float sums are taken over blocks of so many k in order, and the blocks added in order.
constexpr int kSumBlock = 256;
// Rows of activations, and bytes of each, that lie together in a tile.
constexpr int kRowTile = 16, kRowTileBytes = 64;

// A matrix [N, K] in panels of 32 channels, zero-padded to [N/32 up, K/64 up]:
//   fp32, fp16  [panel][k][32]
//   bf16        [panel][k / 2][32][2]
//   int8        [panel][k / 4][32][4], values + 128 as unsigned bytes
struct LinearWeight {
  DType dtype;
  int n, k;                // as the model has them
  int padded_k;
  const void* panels;
  const float* scales;     // int8: [panel][groups of weight][32], else null
  int weight_group;        // k per scale of the weight; 0 = all
  int activation_group;    // k per scale of a row; 0 = all
};

// Numbers of a row that are too large to set the scale of the others: their products are added in
// float, in this order (largest first). Zero among the row's bytes.
struct Outliers {
  static constexpr int kMost = 8;
  int count;
  std::int32_t index[kMost];  // in [0, k)
  float value[kMost];
};

// Rows of activations as a product wants them.
//   fp32, fp16 weights: float; bf16: bfloat16 bits; int8: signed bytes.
//   fp16 in tiles: every 32 numbers as 32 bfloat16 and what those leave, as 32 more.
// Padded with zeros to padded_k. With tile_rows = 0 a row follows the other after `stride` bytes,
// which is no multiple of 4 KiB, so that neighbouring rows do not compete for one set of the L1
// cache. Else they lie in tiles, [row / 16][byte / 64][tile_rows][64], `stride` bytes from one row
// of tiles to the next; what the rows beyond the last one hold is never used.
struct PackedRows {
  const void* data;
  std::size_t stride;
  int tile_rows;                  // 16, or all rows if they are fewer; 0: no tiles
  const float* scales;            // int8: [row][groups of activation]
  const std::int32_t* offsets;    // int8: [row][groups of the sums], -128 · sum of the row's bytes
  const Outliers* outliers;       // int8: [row]
};

struct LoraRow;  // lora.hpp

struct Product {
  const LinearWeight* weight;
  PackedRows rows;
  float* out;                // [row][n], stride out_stride floats
  std::size_t out_stride;
  bool add;                  // out += product instead of out = product
  bool past_caches;          // results may be written past the caches: every panel of a row begins
                             // at a cache line, and nothing is added to what is there
  const LoraRow* additions;  // [row]: what adapters add; or null, always without tiles
};

static constexpr int smaller(int a, int b) { return a < b ? a : b; }
static constexpr int parts_of(int count, int part) { return (count + part - 1) / part; }

// Groups that scales of `group` consecutive k cut K into.
static constexpr int groups(const LinearWeight& weight, int group) {
  return group == 0 ? 1 : (weight.padded_k + group - 1) / group;
}

// k over which integers are summed before they are scaled: the smaller of the two groups, each of
// which divides the other or is 0 = all. May exceed padded_k.
static constexpr int sum_group(const LinearWeight& weight) {
  const int w = weight.weight_group, a = weight.activation_group;
  if (w == 0 && a == 0) return weight.padded_k;
  return w == 0 ? a : a == 0 ? w : w < a ? w : a;
}

// Both are indexed by the dtype of the weight.
struct LinearKernels {
  // One float row [k] in the form that products with the weight want it; `data` is 64-byte aligned,
  // the others are the row's as in PackedRows (int8 only). The padding is written too.
  void (*pack_row[4])(const LinearWeight& weight, const float* row, void* data, float* scales,
                      std::int32_t* offsets, Outliers* outliers);
  // From so many rows on products with the weight want them in tiles; 0, or no function: never.
  int (*fewest_tiled[4])(const LinearWeight& weight);
  // Rows [row_begin, row_end) times panels [panel_begin, panel_end). With tiles row_begin is a
  // multiple of 16.
  void (*multiply[4])(const Product& product, int row_begin, int row_end, int panel_begin,
                      int panel_end);
};

}  // namespace homerun
