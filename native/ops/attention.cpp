// Cuts attention into items for the threads and lends them memory.
// Knows that tiles may be computed anywhere and must be combined in order; computes nothing.
#include "ops/attention.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "kernels/kernels.hpp"
#include "ops/clock.hpp"
#include "ops/scratch.hpp"
#include "plain_floats.hpp"
#include "thread_pool.hpp"

namespace homerun {
namespace {

constexpr int kLeastRowsPerItem = 32;
// With fewer items per thread than this items get smaller; in the end tiles become items too.
constexpr int kItemsPerThread = 4;
constexpr int kRowsPerStore = kBlock;
constexpr double kPerUnit = 1.4426950408889634;  // log2(e): scores count in units of ln 2

// Some tokens of a segment, for every KV head.
struct RowBlock {
  const AttentionSegment* segment;
  int first;  // token within the segment
  int tokens;
};

std::vector<RowBlock> row_blocks(const AttentionPlan& plan, int most_rows, int sharing,
                                 std::size_t wanted) {
  std::vector<RowBlock> blocks;
  for (int rows = most_rows; rows >= kLeastRowsPerItem; rows /= 2) {
    const int most = std::max(1, rows / sharing);
    blocks.clear();
    for (const AttentionSegment& segment : plan.segments)
      for (int first = 0; first < segment.rows; first += most)
        blocks.push_back({&segment, first, std::min(most, segment.rows - first)});
    if (blocks.size() >= wanted) break;
  }
  // The longest first: the last items to be finished should be short ones.
  std::stable_sort(blocks.begin(), blocks.end(), [](const RowBlock& a, const RowBlock& b) {
    const auto work = [](const RowBlock& one) {
      return std::int64_t{one.tokens} * (one.segment->start + one.first + one.tokens);
    };
    return work(a) > work(b);
  });
  return blocks;
}

class Attention {
 public:
  Attention(const CacheLayer& cache, int heads, const AttentionPlan& plan, const float* queries,
            float* out)
      : cache_(cache), heads_(heads), plan_(plan), queries_(queries), out_(out),
        kernels_(kernels().attention), tiles_(kernels_.tiles_of(cache)),
        scale_(static_cast<float>(kPerUnit / std::sqrt(static_cast<double>(cache.head_dim)))),
        wanted_items_(kItemsPerThread * std::size_t(pool().threads())),
        blocks_(row_blocks(plan, tiles_.most_rows, heads / cache.kv_heads,
                           (wanted_items_ + cache.kv_heads - 1) / cache.kv_heads)) {}

  void run() {
    int most_tiles = 0;
    const auto at_least = [](std::size_t& floats, std::size_t needed) {
      floats = std::max(floats, whole_lines(needed));
    };
    for (const RowBlock& block : blocks_) {
      const QueryRows rows = rows_of(block, 0);
      at_least(queries_floats_, tiles_.query_floats(rows));
      at_least(scratch_floats_, tiles_.scratch_floats(rows));
      at_least(part_floats_, Contribution::floats(rows.rows(), cache_.head_dim));
      most_tiles = std::max(most_tiles, rows.tiles());
    }
    const int threads = pool().threads();
    if (most_tiles > 1 && std::size_t(items()) < wanted_items_) {
      by_tiles(threads, most_tiles);
    } else {
      by_rows(threads);
    }
  }

 private:
  std::int64_t items() const { return static_cast<std::int64_t>(blocks_.size()) * cache_.kv_heads; }

  QueryRows rows_of(const RowBlock& block, int kv_head) const {
    const AttentionSegment& segment = *block.segment;
    const int sharing = heads_ / cache_.kv_heads;
    const std::size_t stride = std::size_t(heads_) * cache_.head_dim;
    const std::size_t offset = std::size_t(segment.first_row + block.first) * stride +
                               std::size_t(kv_head) * sharing * cache_.head_dim;
    return {cache_,       kv_head,           sharing,       plan_.tables.data() + segment.blocks,
            segment.start + block.first,     block.tokens,  queries_ + offset,
            out_ + offset, stride};
  }
  // Head by head: the row blocks of a head read the same keys and values.
  QueryRows rows_of(std::int64_t item) const {
    const auto blocks = static_cast<std::int64_t>(blocks_.size());
    return rows_of(blocks_[item % blocks], static_cast<int>(item / blocks));
  }

  // One item does all tiles of its rows.
  void by_rows(int threads) {
    const std::size_t each = queries_floats_ + scratch_floats_ + part_floats_;
    float* memory = scratch(each * threads);
    pool().run(items(), [&](std::int64_t item, int thread) {
      float* scaled = memory + each * thread;
      float* work = scaled + queries_floats_;
      const QueryRows rows = rows_of(item);
      const Contribution all = Contribution::in(work + scratch_floats_, rows.rows());
      tiles_.scale_queries(rows, scale_, scaled);
      for (int tile = 0; tile < rows.tiles(); tile++)
        tiles_.add_tile(rows, tile, TileOrder::in_turn, scaled, work, all);
    });
  }

  // First every tile of every row block, then for each row block the tiles in order.
  void by_tiles(int threads, int most_tiles) {
    const std::size_t each = queries_floats_ + scratch_floats_;
    float* memory = scratch(each * threads + part_floats_ * items() * most_tiles);
    float* parts = memory + each * threads;
    const auto part = [&](std::int64_t item, int tile, const QueryRows& rows) {
      return Contribution::in(parts + part_floats_ * (item * most_tiles + tile), rows.rows());
    };
    pool().run(items() * most_tiles, [&](std::int64_t index, int thread) {
      const std::int64_t item = index / most_tiles;
      const int tile = static_cast<int>(index % most_tiles);
      const QueryRows rows = rows_of(item);
      if (tile >= rows.tiles()) return;
      float* scaled = memory + each * thread;
      tiles_.scale_queries(rows, scale_, scaled);
      tiles_.add_tile(rows, tile, TileOrder::alone, scaled, scaled + queries_floats_,
                      part(item, tile, rows));
    });
    pool().run(items(), [&](std::int64_t item, int) {
      const QueryRows rows = rows_of(item);
      const Contribution all = part(item, 0, rows);
      for (int tile = 1; tile < rows.tiles(); tile++)
        kernels_.combine(rows, tile, all, part(item, tile, rows));
      kernels_.finish(rows, all);
    });
  }

  // For who has the turn.
  static float* scratch(std::size_t floats) {
    // Never destroyed: a thread may still compute while the process ends.
    static Scratch& memory = *new Scratch;
    return static_cast<float*>(memory.get(floats * sizeof(float)));
  }

  const CacheLayer& cache_;
  const int heads_;
  const AttentionPlan& plan_;
  const float* queries_;
  float* out_;
  const AttentionKernels& kernels_;
  const TileKernels& tiles_;
  const float scale_;
  const std::size_t wanted_items_;
  const std::vector<RowBlock> blocks_;
  std::size_t queries_floats_ = 0, scratch_floats_ = 0, part_floats_ = 0;
};

}  // namespace

void attention(const CacheLayer& cache, int heads, const AttentionPlan& plan, const float* queries,
               float* out) {
  assert(heads % cache.kv_heads == 0);
  const Timed timed(Work::attention);
  const PlainFloats plain;
  const Turn mine;
  if (plan.rows > 0) Attention(cache, heads, plan, queries, out).run();
}

void rotate_and_store(const CacheLayer& cache, int heads, int rows, const float* qkv,
                      const float* cosines, const float* sines, const std::int64_t* slots,
                      float* queries) {
  const Timed timed(Work::other);
  const PlainFloats plain;
  const auto one = kernels().attention.rotate_and_store[static_cast<int>(cache.dtype)];
  const std::size_t width = std::size_t(heads + 2 * cache.kv_heads) * cache.head_dim;
  const std::size_t half = cache.head_dim / 2;
  const auto some = [&](std::int64_t item) {
    const std::size_t end = std::min<std::size_t>(rows, (item + 1) * kRowsPerStore);
    for (std::size_t row = item * kRowsPerStore; row < end; row++)
      one(cache, heads, qkv + row * width, cosines + row * half, sines + row * half, slots[row],
          queries + row * heads * cache.head_dim);
  };
  if (rows <= kRowsPerStore) {
    some(0);  // not worth waking anyone
  } else {
    pool().run((rows + kRowsPerStore - 1) / kRowsPerStore,
               [&](std::int64_t item, int) { some(item); });
  }
}

}  // namespace homerun
