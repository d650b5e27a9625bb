// Attention on AMX tiles: over bfloat16 and int8 caches, and over float16 and float32 ones whose
// heads are wide, for more rows than read the cache directly. The lanes of attention/ give the same
// bytes: their sums in pairs follow the instruction's order.
//
// A float16 number is the sum of two bfloat16 numbers, a float32 number of three: three products are
// one of the first, six of the second. Narrow heads of these stay with the instruction set before
// this one, so that small models answer with the same bytes everywhere.
//
// Keys and values of a tile are copied into panels as products with weights want them; then groups
// of 32 rows go through scores, weights and outputs, which stay in the L1 cache.
#include "kernels/amx/attention_numbers.hpp"  // first: attention/ reads numbers in parts with it
#include "kernels/attention/add_tile.hpp"
#include "kernels/parts.hpp"

namespace homerun::amx {
namespace {

constexpr int kRowsPerItem = 512;  // that share the panels
constexpr int kGroupRows = 2 * kRowTile;
constexpr int kSumsFloats = kGroupRows * kPanel;
constexpr int kTileSteps = kPositionTile / kPairedTerms;

// Of so many numbers of K: steps, and numbers in whole steps.
constexpr int steps_of(int numbers) { return parts_of(numbers, kPairedTerms); }
constexpr int whole_steps(int numbers) { return steps_of(numbers) * kPairedTerms; }

// Queries of an item: [16 rows][32 features][part][row][feature].
template <class Element>
std::size_t query_floats(const QueryRows& rows) {
  const int tiles = parts_of(rows.rows(), kRowTile);
  return std::size_t(tiles) * steps_of(rows.cache.head_dim) * kRowStep<Element> / sizeof(float);
}
template <class Element>
std::size_t query_offset(int row, int d, int head_dim) {
  return (std::size_t(row / kRowTile) * steps_of(head_dim) + d / kPairedTerms) * kRowStep<Element> +
         row % kRowTile * kStep + d % kPairedTerms * sizeof(Half);
}

// Beyond a row's end are zeros; what rows beyond the last one hold is never used.
template <class Element>
void scale_queries(const QueryRows& rows, float scale, void* scaled) {
  const int head_dim = rows.cache.head_dim;
  for_queries(rows, [&](int row, const float* queries) {
    for_vectors(whole_steps(head_dim), [&](int d, int) {
      const __mmask16 some = first_lanes(smaller(kBlock, max_of(0, head_dim - d)));
      const F query = mul(F{_mm512_maskz_loadu_ps(some, queries + d)}, set(scale));
      store_factors<Element>(
          query, static_cast<char*>(scaled) + query_offset<Element>(row, d, head_dim));
    });
  });
}

// As lanes want them: [part][head_dim].
template <class Element>
void widen_queries(const void* scaled, int row, int head_dim, float* to) {
  for (int part = 0; part < kParts<Element>; part++)
    for_vectors(head_dim, [&](int d, int n) {
      const char* from = static_cast<const char*>(scaled) +
                         query_offset<Element>(row, d, head_dim) + part * kTileBytes;
      store_some(to + part * head_dim + d,
                 widen_bf16(_mm256_load_si256(reinterpret_cast<const __m256i*>(from))), n);
    });
}

// The memory of one item, in bytes from a cache line on.
struct Memory {
  char* keys;        // [pair of blocks][32 features][part][feature pair][32 positions][2]
  char* values;      // [32 features][32 positions][part][position pair][32 features][2]
  char* weights;     // of a group: [16 rows][32 positions][part][row][position]
  float* scores;     // of a group: [pair of blocks][row][32]
  float* sums;       // of a group: [row][32 features]
  Contribution own;  // without outputs

  template <class Element>
  static Memory in(float* scratch, int head_dim, int rows) {
    char* at = reinterpret_cast<char*>(scratch);
    const auto take = [&](std::size_t bytes) {
      char* const taken = at;
      at += bytes;
      return taken;
    };
    Memory m;
    m.keys = take(panel_bytes<Element>(head_dim));
    m.values = take(panel_bytes<Element>(head_dim));
    m.weights = take(weight_bytes<Element>());
    m.scores = reinterpret_cast<float*>(take(kGroupRows * kPositionTile * sizeof(float)));
    m.sums = reinterpret_cast<float*>(take(kSumsFloats * sizeof(float)));
    m.own = Contribution::in(reinterpret_cast<float*>(at), rows);
    return m;
  }
  template <class Element>
  static std::size_t floats(int head_dim, int rows) {
    return (2 * panel_bytes<Element>(head_dim) + weight_bytes<Element>()) / sizeof(float) +
           kGroupRows * kPositionTile + kSumsFloats + Contribution::floats(rows, 0);
  }

 private:
  template <class Element>
  static std::size_t panel_bytes(int head_dim) {
    return std::size_t{kTileSteps} * steps_of(head_dim) * kPanelStep<Element>;
  }
  template <class Element>
  static constexpr std::size_t weight_bytes() {
    return std::size_t{kGroupRows / kRowTile} * kTileSteps * kRowStep<Element>;
  }
};

// Values are read first, to see whether they are finite, if they might not be.
template <class Element>
constexpr bool kValuesFirst = !std::is_same_v<Element, Int8>;

// Whether all values that some row sees are finite. If not, rows that do not see them must not meet
// them, not even with a weight of 0.
template <class Element>
bool all_finite(const Tile<Element>& tile) {
  if constexpr (!kValuesFirst<Element>) {
    return true;
  } else {
    const int head_dim = tile.head_dim, visible = tile.visible(tile.count - 1);
    const Blocks<Element> values{tile.values.at, tile.blocks};
    Finite<Element> finite;
    for (int block = 0; block < tile.blocks; block++) {
      const int numbers = smaller(kBlock, visible - block * kBlock) * head_dim;
      for (int i = 0; i < numbers; i += finite.kNumbers) {
        values.expect(block, i);
        finite.see(values.at[block] + i, numbers - i);
      }
    }
    return finite.all();
  }
}

// A tile's keys and values in panels. If several groups of rows want them all are copied at first;
// else each when it is wanted, to a place that stays in the L1 cache.
template <class Element>
class Panels {
 public:
  Panels(const Tile<Element>& tile, const Memory& memory, bool kept)
      : tile_(tile), memory_(memory), kept_(kept) {
    if (!kept) return;
    for (int pair = 0; pair < parts_of(tile.blocks, 2); pair++) pack_keys(pair);
    for (int d = 0; d < tile.head_dim; d += kPanel) pack_values(d);
  }

  // Of a pair of blocks: [32 features][part][feature pair][32 positions][2].
  const char* keys(int pair) const { return kept_ ? keys_at(pair) : pack_keys(pair); }
  // Of 32 features: [32 positions][part][position pair][32 features][2].
  const char* values(int d) const { return kept_ ? values_at(d) : pack_values(d); }

 private:
  char* keys_at(int pair) const {
    const std::size_t step = kept_ ? std::size_t(pair) * steps_of(tile_.head_dim) : 0;
    return memory_.keys + step * kPanelStep<Element>;
  }
  char* values_at(int d) const {
    return memory_.values + (kept_ ? d / kPanel * kTileSteps : 0) * kPanelStep<Element>;
  }

  char* pack_keys(int pair) const {
    const int head_dim = tile_.head_dim;
    const Blocks<Element> keys{tile_.keys.at, tile_.blocks};
    char* const panel = keys_at(pair);
    for (int block = 2 * pair; block < smaller(2 * pair + 2, tile_.blocks); block++) {
      char* to = panel + block % 2 * kCacheLine;
      for (int d = 0; d < head_dim; d += 2) {
        for (int i = 0; i < 2 * kBlock; i += kCacheLine / int(sizeof(Element)))
          keys.expect(block, d * kBlock + i);
        store_features(keys.at[block] + d * kBlock, to + pair_offset<Element>(d));
      }
      for (int d = head_dim; d < whole_steps(head_dim); d += 2)
        for (int part = 0; part < kParts<Element>; part++)
          _mm512_store_si512(to + pair_offset<Element>(d) + part * kStepWeights,
                             _mm512_setzero_si512());
    }
    return panel;
  }

  // Positions that no row sees become 0.
  char* pack_values(int d) const {
    const int head_dim = tile_.head_dim, visible = tile_.visible(tile_.count - 1);
    char* const panel = values_at(d);
    const Blocks<Element> values{tile_.values.at, tile_.blocks};
    for (int position = 0; position < whole_steps(visible); position += 2) {
      const int block = position / kBlock, offset = position % kBlock * head_dim + d;
      if (!kValuesFirst<Element>) {
        values.expect(block, offset);
        values.expect(block, offset + head_dim);
      }
      const Element* even = values.at[block] + offset;
      const auto features = [&](int some) { return some < visible ? head_dim - d : 0; };
      store_positions(even, features(position), even + head_dim, features(position + 1),
                      panel + pair_offset<Element>(position));
    }
    return panel;
  }

  const Tile<Element>& tile_;
  const Memory& memory_;
  const bool kept_;
};

// Rows [row, row + rows), but for those that do not see the tile: their sums are not used. `row` is
// the first of a tile of queries.
template <class Element>
class Group {
 public:
  Group(const Tile<Element>& tile, const Memory& memory, const Panels<Element>& panels, int row,
        int rows)
      : tile_(tile), memory_(memory), panels_(panels), row_(row), end_(row + rows),
        first_(max_of(row, tile.first_row)), steps_(steps_of(tile.visible(end_ - 1))) {}

  // The first `ended` rows of all are going to be written out.
  void score(const void* scaled, int ended) const {
    const int head_dim = tile_.head_dim, steps = steps_of(head_dim);
    const char* queries =
        static_cast<const char*>(scaled) + query_offset<Element>(row_, 0, head_dim);
    for (int pair = 0; pair < steps_; pair++) {
      // A few rows at a time: asked for all at once they are slow to come.
      for (int row = first_ + pair; row < smaller(end_, ended); row += steps_)
        for (int d = 0; d < head_dim; d += kBlock)
          __builtin_prefetch(tile_.rows.out_of(row) + d, 1, kIntoL2);
      multiply<Element>(queries, std::size_t(steps) * kRowStep<Element>, has_lower(),
                        panels_.keys(pair), steps, memory_.scores + pair * kSumsFloats);
    }
  }

  void weigh_positions(const Contribution& result) const {
    const auto weights_at = [&](int row, int i) {
      const int r = row - row_;
      return memory_.weights + r / kRowTile * kTileWeights + r % kRowTile * kStep +
             i / 2 * kRowStep<Element> + i % 2 * (kStep / 2);
    };
    weights_of_rows(
        tile_, first_, end_, result,
        [&](int row, int i) {
          return memory_.scores + i / 2 * kSumsFloats + (row - row_) * kPair + i % 2 * kBlock;
        },
        [&](int row, int i, auto... weights) {
          store_weights<Element>(weights_at(row, i), weights...);
        });
    for (int row = first_; row < end_; row++)
      for (int i = parts_of(tile_.visible(row), kBlock); i < 2 * steps_; i++)
        store_weights<Element>(weights_at(row, i), zero());
  }

  // `first`: there are no outputs yet. The first `ended` rows of all have seen everything now.
  void add_values(bool first, int ended, const Contribution& so_far) const {
    for (int d = 0; d < tile_.head_dim; d += kPanel) {
      multiply<Element>(memory_.weights, kTileWeights, has_lower(), panels_.values(d), steps_,
                        memory_.sums);
      for (int row = first_; row < end_; row++) add_features(row, d, first, ended, so_far);
    }
  }

 private:
  static constexpr int kTileWeights = kTileSteps * kRowStep<Element>;

  bool has_lower() const { return end_ - row_ > kRowTile; }

  void add_features(int row, int d, bool first, int ended, const Contribution& so_far) const {
    const float* sums = memory_.sums + (row - row_) * kPanel;
    float* output = so_far.output + std::size_t(row) * tile_.head_dim + d;
    float* out = row < ended ? tile_.rows.out_of(row) + d : output;
    for_vectors(smaller(kPanel, tile_.head_dim - d), [&](int i, int n) {
      F result = load(sums + i);
      if (!first)
        result = add(mul(load_some(output + i, n), set(memory_.own.maximum[row])),
                     mul(result, set(memory_.own.total[row])));
      if (row < ended) result = div(result, set(so_far.total[row]));
      store_some(out + i, result, n);
    });
  }

  const Tile<Element>& tile_;
  const Memory& memory_;
  const Panels<Element>& panels_;
  const int row_, end_, first_, steps_;
};

// The rows that see a tile, by lanes: few, or many where a value is not finite, which is so rare that
// reading the tile for every few of them does not matter.
template <class Element>
void add_tile_by_lanes(const Tile<Element>& tile, bool first, int ended, const void* scaled,
                       float* scratch, Contribution so_far) {
  constexpr int kMost = kMaxRowsFor<Element>;
  const int head_dim = tile.head_dim, width = row_of_queries<Element>(head_dim);
  float* scores = scratch;
  float* queries = scores + kMost * kRowOfScores<Element>;
  const Contribution own = Contribution::in(queries + kMost * whole_steps(width), tile.count);
  for (int row = tile.first_row; row < tile.count; row += kMost) {
    const int count = smaller(kMost, tile.count - row);
    for (int r = 0; r < count; r++)
      widen_queries<Element>(scaled, row + r, head_dim, queries + r * width);
    stream(tile, row, count, queries, scores, first ? so_far : own);
  }
  if (!first) combine(tile.rows, tile.index, so_far, own);
  finish_rows(tile.rows, tile.first_row, ended, so_far);
}

template <class Element>
void add_tile(const QueryRows& rows, int index, TileOrder order, const void* scaled,
              float* scratch, Contribution so_far) {
  const bool few = rows.rows() - first_seeing(rows, index) <= kMaxRowsFor<Element>;
  const bool values_first = kValuesFirst<Element> && !few;
  const auto tile = Tile<Element>::of(
      rows, index, values_first ? Reading::values_first : Reading::keys_first);
  const Memory memory = Memory::in<Element>(scratch, tile.head_dim, tile.count);
  const bool first = order == TileOrder::alone || index == 0;
  const int ended = order == TileOrder::alone ? 0 : first_seeing(rows, index + 1);
  if (few || !all_finite(tile))
    return add_tile_by_lanes(tile, first, ended, scaled, scratch, so_far);
  const int begin = tile.first_row / kRowTile * kRowTile, rows_here = tile.count - begin;
  const Tiles registers(smaller(kRowTile, rows_here));
  const Panels<Element> panels(tile, memory, rows_here > kGroupRows);
  for (int row = begin; row < tile.count; row += kGroupRows) {
    const Group<Element> group(tile, memory, panels, row, smaller(kGroupRows, tile.count - row));
    group.score(scaled, ended);
    group.weigh_positions(first ? so_far : memory.own);
    if (!first)
      weigh(so_far, memory.own, max_of(row, tile.first_row), smaller(row + kGroupRows, tile.count));
    group.add_values(first, ended, so_far);
  }
}

template <class Element>
std::size_t scratch_floats(const QueryRows& rows) {
  const int head_dim = rows.cache.head_dim, count = rows.rows();
  const int row = kRowOfScores<Element> + whole_steps(row_of_queries<Element>(head_dim));
  const std::size_t by_lanes =
      kMaxRowsFor<Element> * row + Contribution::floats(count, head_dim);
  const std::size_t by_tiles = Memory::floats<Element>(head_dim, count);
  return by_lanes > by_tiles ? by_lanes : by_tiles;
}

template <class Element>
constexpr TileKernels kTileKernels = {kRowsPerItem, scale_queries<Element>, query_floats<Element>,
                                      add_tile<Element>, scratch_floats<Element>};

}  // namespace

void fill(AttentionKernels& kernels) {
  const auto at = [](DType dtype) { return static_cast<int>(dtype); };
  kernels.narrow[at(DType::bf16)] = kernels.wide[at(DType::bf16)] = kTileKernels<Bf16>;
  kernels.narrow[at(DType::int8)] = kernels.wide[at(DType::int8)] = kTileKernels<Int8>;
  kernels.wide[at(DType::fp16)] = kTileKernels<SplitFp16>;
  kernels.wide[at(DType::fp32)] = kTileKernels<SplitFp32>;
}

}  // namespace homerun::amx
