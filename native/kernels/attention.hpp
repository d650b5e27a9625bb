// Attention over the paged cache: the types that kernels/, ops/ and bindings/ share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/linear.hpp"

namespace homerun {

// Positions of a KV block, and of a tile: what has a maximum and a sum of its own.
constexpr int kBlock = 16;
constexpr int kPositionTile = 256;
constexpr int kTileBlocks = kPositionTile / kBlock;

// Terms of a sum in pairs (attention/numbers.hpp), and the least magnitude but 0 that a factor of it
// has: so that no product and no sum is denormal, which CPUs treat differently.
constexpr int kPairedTerms = 32;
constexpr float kLeastBf16 = 0x1p-55f;
// Of int8 numbers: with a weight of at least kLeastBf16 the product is a factor that is large enough.
constexpr float kLeastScale = 0x1p-64f;

// One layer of the cache. Keys lie with the positions side by side, values with the features:
//   keys    [block][kv_head][head_dim][16]      values  [block][kv_head][16][head_dim]
struct CacheLayer {
  DType dtype;
  void* keys;
  void* values;
  int kv_heads;
  int head_dim;
  float* scales;  // int8: [block][kv_head][2][16], of the keys, of the values; else null
};

// Consecutive tokens of a sequence and the query heads that read one KV head: row
// token · sharing + i is head kv_head · sharing + i of that token.
struct QueryRows {
  CacheLayer cache;
  int kv_head;
  int sharing;                 // query heads per KV head
  const std::int32_t* blocks;  // the sequence's block table
  int start;                   // position of the first token
  int tokens;
  const float* queries;  // the first token's first of these heads; `stride` floats to the next token
  float* out;            // likewise
  std::size_t stride;

  int rows() const { return tokens * sharing; }
  float* out_of(int row) const {
    return out + row / sharing * stride + std::size_t(row % sharing) * cache.head_dim;
  }
  int tiles() const { return (start + tokens - 1) / kPositionTile + 1; }
  // Positions of `tile` that the row may see; 0 or less: none.
  int visible(int row, int tile) const {
    const int count = start + row / sharing + 1 - tile * kPositionTile;
    return count < kPositionTile ? count : kPositionTile;
  }
};

// What one or several tiles contribute to the rows: with scores s in units of ln 2, maximum m,
// l = Σ 2^(s - m) and o = Σ 2^(s - m) · v. Undefined for rows that see none of these tiles.
struct Contribution {
  float* maximum;  // [rows]
  float* total;    // [rows]
  float* output;   // [rows][head_dim]

  static std::size_t floats(int rows, int head_dim) {
    return 2 * padded(rows) + std::size_t(rows) * head_dim;
  }
  static Contribution in(float* memory, int rows) {
    return {memory, memory + padded(rows), memory + 2 * padded(rows)};
  }

 private:
  static std::size_t padded(int rows) { return (rows + 15) / 16 * 16; }  // whole cache lines
};

enum class TileOrder : std::uint8_t {
  alone,    // so_far becomes what this tile contributes
  in_turn,  // the tiles are added one after another, and rows that have seen all are finished
};

// What is done to a tile, for one kind of cache.
struct TileKernels {
  // At most so many rows are worth being given together.
  int most_rows;
  // The rows' queries times `scale`, as add_tile wants them, in `query_floats(rows)` floats.
  void (*scale_queries)(const QueryRows& rows, float scale, void* scaled);
  std::size_t (*query_floats)(const QueryRows& rows);
  // One tile; `scratch` has `scratch_floats(rows)` floats.
  void (*add_tile)(const QueryRows& rows, int tile, TileOrder order, const void* scaled,
                   float* scratch, Contribution so_far);
  std::size_t (*scratch_floats)(const QueryRows& rows);
};

struct AttentionKernels {
  // Heads of at most so many features are narrow.
  static constexpr int kNarrow = 64;

  TileKernels narrow[4], wide[4];  // by the cache's dtype
  const TileKernels& tiles_of(const CacheLayer& cache) const {
    return (cache.head_dim > kNarrow ? wide : narrow)[static_cast<int>(cache.dtype)];
  }
  // so_far = that of the tiles before `tile`, combined with that of `tile`, which is overwritten.
  void (*combine)(const QueryRows& rows, int tile, Contribution so_far, Contribution next);
  // out = output / total.
  void (*finish)(const QueryRows& rows, Contribution all);

  // One token: qkv [(heads + 2 · kv_heads) · head_dim] -> rotated queries [heads · head_dim], and
  // rotated keys and values into `slot` of the cache. The halves a, b of a head become
  // (a·cos - b·sin, b·cos + a·sin).
  void (*rotate_and_store[4])(const CacheLayer& cache, int heads, const float* qkv,
                              const float* cosines, const float* sines, std::int64_t slot,
                              float* queries);
};

}  // namespace homerun
