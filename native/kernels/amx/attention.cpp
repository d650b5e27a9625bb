// Attention over bfloat16 and int8 caches on AMX tiles, for more rows than read the cache directly.
// The lanes of attention/ give the same bytes: their sums in pairs follow the instruction's order.
//
// Keys and values of a tile are copied once into panels as products with weights want them; then
// groups of 32 rows go through scores, weights and outputs, which stay in the L1 cache.
#include <type_traits>

#include "kernels/amx/tiles.hpp"
#include "kernels/attention/add_tile.hpp"
#include "kernels/parts.hpp"

namespace homerun::amx {
namespace {

constexpr int kRowsPerItem = 512;  // that share the panels
constexpr int kGroupRows = 2 * kRowTile;
constexpr int kPair = 2 * kBlock;             // positions, or features, of a panel
constexpr int kPanelLine = kWeightsStride;    // bytes of a panel for two numbers of K
constexpr int kTileBytes = kRowTile * kStep;  // of rows: 16 of them, 32 numbers of K
constexpr int kSumsFloats = kGroupRows * kPanel;
static_assert(kPair == kPanel && kPair == kPairedTerms && kStep == 2 * kPairedTerms);
using tiled::kCacheLine;
using Half = std::uint16_t;

// Numbers of K in whole steps.
constexpr int whole_steps(int numbers) { return parts_of(numbers, kPairedTerms) * kPairedTerms; }

// The memory of one item, in bytes from a cache line on.
struct Memory {
  char* keys;        // [pair of blocks][feature pair][32 positions][2]
  char* values;      // [32 features][position pair][32 features][2]
  char* queries;     // of a group: [16 rows][32 features][row][feature]
  char* weights;     // of a group: [16 rows][32 positions][row][position]
  float* scores;     // of a group: [pair of blocks][row][32]
  float* sums;       // of a group: [row][32 features]
  Contribution own;  // without outputs

  static Memory in(float* scratch, int head_dim, int rows) {
    char* at = reinterpret_cast<char*>(scratch);
    const auto take = [&](std::size_t bytes) {
      char* const taken = at;
      at += bytes;
      return taken;
    };
    Memory m;
    const int width = whole_steps(head_dim);
    m.keys = take(std::size_t{kPositionTile} * width * sizeof(Half));
    m.values = take(std::size_t{kPositionTile} * width * sizeof(Half));
    m.queries = take(std::size_t{kGroupRows} * width * sizeof(Half));
    m.weights = take(kGroupRows * kPositionTile * sizeof(Half));
    m.scores = reinterpret_cast<float*>(take(kGroupRows * kPositionTile * sizeof(float)));
    m.sums = reinterpret_cast<float*>(take(kSumsFloats * sizeof(float)));
    m.own = Contribution::in(reinterpret_cast<float*>(at), rows);
    return m;
  }
  static std::size_t floats(int head_dim, int rows) {
    const std::size_t width = whole_steps(head_dim);
    const std::size_t halves = 2 * kPositionTile * width + kGroupRows * width +
                               kGroupRows * kPositionTile;
    return halves / 2 + kGroupRows * kPositionTile + kSumsFloats + Contribution::floats(rows, 0);
  }
};

// 32 numbers as bfloat16, of which only the first n are read and the others 0.
inline __m512i read_halves(const Bf16* p, int n) {
  const __mmask32 first = n >= 32 ? ~__mmask32{0} : (__mmask32{1} << n) - 1;
  return _mm512_maskz_loadu_epi16(first, p);
}
inline __m512i read_halves(const Int8* p, int n) {
  const __mmask32 first = n >= 32 ? ~__mmask32{0} : (__mmask32{1} << n) - 1;
  const __m256i bytes = _mm256_maskz_loadu_epi8(first, p);
  const auto widened = [](__m128i half) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(half)); };
  return (__m512i)_mm512_cvtne2ps_pbh(widened(_mm256_extracti128_si256(bytes, 1)),
                                      widened(_mm256_castsi256_si128(bytes)));
}

// The order a0 b0 a1 b1 … of 16 numbers from `first` on of both operands.
inline __m512i interleaving(int first) {
  alignas(64) Half order[32];
  for (int i = 0; i < 16; i++) {
    order[2 * i] = static_cast<Half>(first + i);
    order[2 * i + 1] = static_cast<Half>(32 + first + i);
  }
  return _mm512_load_si512(order);
}

template <class Element>
void pack_keys(const Tile<Element>& tile, char* panels) {
  const int head_dim = tile.head_dim, width = whole_steps(head_dim);
  const Blocks<Element> keys{tile.keys.at, tile.blocks};
  alignas(64) Half order[32];
  for (int i = 0; i < 32; i++) order[i] = static_cast<Half>(i / 2 + i % 2 * 16);
  const __m512i by_position = _mm512_load_si512(order);
  for (int block = 0; block < tile.blocks; block++) {
    char* to = panels + block / 2 * (width / 2 * kPanelLine) + block % 2 * kCacheLine;
    for (int d = 0; d < width; d += 2, to += kPanelLine) {
      __m512i both = _mm512_setzero_si512();
      if (d < head_dim) {
        keys.expect(block, d * kBlock);
        // Two features of 16 positions.
        both = _mm512_permutexvar_epi16(by_position,
                                        read_halves(keys.at[block] + d * kBlock, 2 * kBlock));
      }
      _mm512_store_si512(to, both);
    }
  }
}

// Positions that no row sees become 0. False if a value that some row sees is not finite: then rows
// that do not see it must not meet it.
template <class Element>
bool pack_values(const Tile<Element>& tile, char* panels) {
  const int head_dim = tile.head_dim, visible = tile.visible(tile.count - 1);
  const Blocks<Element> values{tile.values.at, tile.blocks};
  const __m512i lower = interleaving(0), upper = interleaving(16);
  const __m512i magnitude = _mm512_set1_epi16(0x7fff);
  __m512i largest = _mm512_setzero_si512();
  for (int position = 0; position < whole_steps(visible); position += 2) {
    const int block = position / kBlock, offset = position % kBlock * head_dim;
    char* to = panels + position / 2 * kPanelLine;
    for (int d = 0; d < head_dim; d += kPanel, to += kPositionTile / 2 * kPanelLine) {
      __m512i even = _mm512_setzero_si512(), odd = even;
      if (position < visible) {
        const Element* from = values.at[block] + offset + d;
        values.expect(block, offset + d);
        even = read_halves(from, head_dim - d);
        if (position + 1 < visible) {
          values.expect(block, offset + head_dim + d);
          odd = read_halves(from + head_dim, head_dim - d);
        }
      }
      if constexpr (std::is_same_v<Element, Bf16>)
        largest = _mm512_max_epu16(largest,
                                   _mm512_max_epu16(_mm512_and_si512(even, magnitude),
                                                    _mm512_and_si512(odd, magnitude)));
      _mm512_store_si512(to, _mm512_permutex2var_epi16(even, lower, odd));
      _mm512_store_si512(to + kCacheLine, _mm512_permutex2var_epi16(even, upper, odd));
    }
  }
  constexpr int kInfinity = 0x7f80;
  return !_mm512_cmpge_epu16_mask(largest, _mm512_set1_epi16(kInfinity));
}

// Rows of a group that hold bfloat16 numbers already, as tiles. Beyond a row's end are zeros; what
// the rows beyond the last one hold is never used.
void pack_queries(const float* scaled, int rows, int head_dim, char* tiles) {
  const int steps = parts_of(head_dim, kPairedTerms);
  for (int row = 0; row < rows; row++, scaled += head_dim) {
    char* to = tiles + row / kRowTile * (steps * kTileBytes) + row % kRowTile * kStep;
    for (int d = 0; d < head_dim; d += kPairedTerms, to += kTileBytes) {
      const auto some = [&](int from) {
        const int n = smaller(16, max_of(0, head_dim - from));
        return _mm512_maskz_loadu_ps(first_lanes(n), scaled + from);
      };
      _mm512_store_si512(to, (__m512i)_mm512_cvtne2ps_pbh(some(d + 16), some(d)));
    }
  }
}

// sums [32 rows][32] = rows · panel over `steps` steps.
inline void multiply(const char* tiles, int steps_of_tile, bool lower, const char* panel, int steps,
                     float* sums) {
  const std::size_t tile_stride = std::size_t(steps_of_tile) * kTileBytes;
  const UnitRows rows{tiles, tile_stride, kTileBytes, lower ? kGroupRows : kRowTile};
  Ahead nothing{panel, 0};
  char* to = reinterpret_cast<char*>(sums);
  if (lower) {
    add_products<DType::bf16, true>(rows, panel, steps, true, to, nothing);
  } else {
    add_products<DType::bf16, false>(rows, panel, steps, true, to, nothing);
  }
}

// Rows [row, row + rows) of a tile whose panels are packed.
template <class Element>
class Group {
 public:
  Group(const Tile<Element>& tile, const Memory& memory, int row, int rows)
      : tile_(tile), memory_(memory), row_(row), rows_(rows),
        visible_(tile.visible(row + rows - 1)), steps_(parts_of(visible_, kPairedTerms)) {}

  // The first `ended` rows of all are going to be written out.
  void score(const float* scaled, int ended) const {
    const int head_dim = tile_.head_dim, steps = parts_of(head_dim, kPairedTerms);
    pack_queries(scaled + std::size_t(row_) * head_dim, rows_, head_dim, memory_.queries);
    for (int pair = 0; pair < steps_; pair++) {
      // A few rows at a time: asked for all at once they are slow to come.
      for (int row = row_ + pair; row < smaller(row_ + rows_, ended); row += steps_)
        for (int d = 0; d < head_dim; d += kBlock)
          __builtin_prefetch(tile_.rows.out_of(row) + d, 1, kIntoL2);
      multiply(memory_.queries, steps, rows_ > kRowTile,
               memory_.keys + pair * (steps * kPairedTerms / 2 * kPanelLine), steps,
               memory_.scores + pair * kSumsFloats);
    }
  }

  void weigh_positions(const Contribution& result) const {
    for (int r = 0; r < rows_; r++) {
      const int row = row_ + r, visible = tile_.visible(row);
      const float* scores = memory_.scores + r * kPair;
      char* weights = memory_.weights + r / kRowTile * (kTileSteps * kTileBytes) +
                      r % kRowTile * kStep;
      const auto weights_at = [&](int i) {
        return reinterpret_cast<__m256i*>(weights + i / 2 * kTileBytes + i % 2 * (kStep / 2));
      };
      weights_of_row(
          tile_, visible, result.maximum[row], result.total[row],
          [&](int i) { return scores + i / 2 * kSumsFloats + i % 2 * kBlock; },
          [&](int i, F weight) {
            _mm256_store_si256(weights_at(i), (__m256i)_mm512_cvtneps_pbh(weight.v));
          });
      for (int i = parts_of(visible, kBlock); i < 2 * steps_; i++)
        _mm256_store_si256(weights_at(i), _mm256_setzero_si256());
    }
  }

  // `first`: there are no outputs yet. The first `ended` rows of all have seen everything now.
  void add_values(bool first, int ended, const Contribution& so_far) const {
    for (int d = 0; d < tile_.head_dim; d += kPanel) {
      multiply(memory_.weights, kTileSteps, rows_ > kRowTile,
               memory_.values + d / kPanel * (kPositionTile / 2 * kPanelLine), steps_,
               memory_.sums);
      for (int r = 0; r < rows_; r++) add_features(row_ + r, d, first, ended, so_far);
    }
  }

 private:
  static constexpr int kTileSteps = kPositionTile / kPairedTerms;

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
  const int row_, rows_, visible_, steps_;
};

template <class Element>
void add_tile(const QueryRows& rows, int index, TileOrder order, const float* scaled,
              float* scratch, Contribution so_far) {
  const auto tile = Tile<Element>::of(rows, index);
  const Memory memory = Memory::in(scratch, tile.head_dim, tile.count);
  if (tile.count - tile.first_row <= kMaxRows || !pack_values(tile, memory.values))
    return add_tile_of(tile, order, scaled, scratch, so_far);
  pack_keys(tile, memory.keys);
  const bool first = order == TileOrder::alone || index == 0;
  const int ended = order == TileOrder::alone ? 0 : first_seeing(rows, index + 1);
  const Tiles registers(kRowTile);
  for (int row = tile.first_row; row < tile.count; row += kGroupRows) {
    const Group<Element> group(tile, memory, row, smaller(kGroupRows, tile.count - row));
    group.score(scaled, ended);
    group.weigh_positions(first ? so_far : memory.own);
    if (!first) weigh(so_far, memory.own, row, smaller(row + kGroupRows, tile.count));
    group.add_values(first, ended, so_far);
  }
}

std::size_t scratch_floats(const QueryRows& rows) {
  const std::size_t by_lanes = scratch_of_lanes(rows);
  const std::size_t by_tiles = Memory::floats(rows.cache.head_dim, rows.rows());
  return by_lanes > by_tiles ? by_lanes : by_tiles;
}

}  // namespace

void fill(AttentionKernels& kernels) {
  const auto set = [&](DType dtype, auto element) {
    using Element = decltype(element);
    const int i = static_cast<int>(dtype);
    kernels.add_tile[i] = add_tile<Element>;
    kernels.scratch_floats[i] = scratch_floats;
    kernels.most_rows[i] = kRowsPerItem;
  };
  set(DType::bf16, Bf16{});
  set(DType::int8, Int8{});
}

}  // namespace homerun::amx
