// Attention of some query rows over one tile of the paged cache.
// Knows one KV head of one sequence; which rows and tiles make an item of work is ops/'s affair.
//
// Both products are register tiles over the same loop: a vector of the cache (16 positions of a
// key feature, 16 features of a value) is loaded once for several query rows, each of which
// broadcasts one number. A lane of an accumulator is one score, or one feature of one output, and
// runs through a single chain of fma in order of the features, or positions. So tiling never shows.
// A row is never multiplied with a value that it may not see: that could be an infinity.
//
// Up to kMaxRows rows read the cache as it is, once, as fast as memory gives it. More rows share
// copies in float32 of parts that stay in the L1 cache, and are bound by arithmetic.
#include <type_traits>

#include "kernels/parts.hpp"
#include "lanes/lanes.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

#if defined(HOMERUN_ISA_avx512_vnni)
constexpr int kAccumulators = 24;  // of 32 registers
constexpr int kMaxRows = 8;
constexpr int kSharedRows = 8, kSharedVectors = 2;
#else
constexpr int kAccumulators = 6;  // an F takes two of AVX2's 16 registers, four of NEON's 32
constexpr int kMaxRows = 6;
constexpr int kSharedRows = 6, kSharedVectors = 1;
#endif

// Rows that share a copy: kSharedRows of them times kSharedVectors of the copy at once.
constexpr int kSharedLanes = 16 * kSharedVectors;
static_assert(kTileBlocks % kSharedVectors == 0);
// What is read or copied of the cache at a time should stay in the L1 cache.
constexpr int kPanelBytes = 32 * 1024;

struct Fp16 {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

inline F read(const float* p) { return load(p); }
inline F read(const Fp16* p) { return load_fp16(&p->bits); }
inline F read(const Bf16* p) { return load_bf16(&p->bits); }
inline F read(const float* p, int n) { return load(p, n); }
inline F read(const Fp16* p, int n) { return load_fp16(&p->bits, n); }
inline F read(const Bf16* p, int n) { return load_bf16(&p->bits, n); }
inline void write(float* p, F v) { store(p, v); }
inline void write(Fp16* p, F v) { store_fp16(&p->bits, v); }
inline void write(Bf16* p, F v) { store_bf16(&p->bits, v); }
inline void write(float* p, F v, int n) { store(p, v, n); }
inline void write(Fp16* p, F v, int n) { store_fp16(&p->bits, v, n); }
inline void write(Bf16* p, F v, int n) { store_bf16(&p->bits, v, n); }

inline int max_of(int a, int b) { return a > b ? a : b; }

// Calls body(offset, lanes) for vectors of a row of `width` numbers.
template <class Body>
inline void for_vectors(int width, const Body& body) {
  for (int i = 0; i < width; i += 16) body(i, smaller(16, width - i));
}

inline F load_some(const float* p, int n) { return n == 16 ? load(p) : load(p, n); }
inline void store_some(float* p, F v, int n) {
  if (n == 16) {
    store(p, v);
  } else {
    store(p, v, n);
  }
}

// Vectors of the cache to hold against `rows` rows: a power of two. More than 4 streams of memory
// are slower.
constexpr int vectors_for(int rows) {
  int vectors = 4;
  while (vectors > 1 && vectors * rows > kAccumulators) vectors /= 2;
  return vectors;
}

// with_rows<most>(rows, body) calls body with the constant that equals `rows`, in 1 … most.
template <int kRows>
struct Rows {
  static constexpr int value = kRows;
};
template <int kRows, class Body>
inline void with_rows(int rows, const Body& body) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return with_rows<kRows - 1>(rows, body);
  }
  body(Rows<kRows>{});
}

// Blocks of keys or values, read once each; what lies `ahead` of the block in hand is asked of the
// memory meanwhile: at[b] is defined so much further.
template <class Element>
struct Blocks {
  const Element* const* at;
  int ahead;

  Blocks from(int block) const { return {at + block, ahead}; }
  void expect(int block, int offset) const {
    __builtin_prefetch(at[block + ahead] + offset, 0, kIntoL2);
  }
  static constexpr int kIntoL2 = 2;
};

// scores[row][block · 16 + lane] for kBlocks blocks of keys at once; where fewer are left the last
// one is computed again and not stored.
template <int kRows, int kBlocks, class Keys>
void score_blocks(const float* queries, int head_dim, Keys keys, int blocks, float* scores) {
  F sums[kRows][kBlocks];
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; b++)
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) sums[r][b] = zero();
  std::remove_cvref_t<decltype(keys.at[0])> key[kBlocks];
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; b++) key[b] = keys.at[smaller(b, blocks - 1)];
  for (int d = 0; d < head_dim; d++) {
    F query[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) query[r] = set(queries[r * head_dim + d]);
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; b++) {
      keys.expect(b, d * kBlock);
      const F column = read(key[b] + d * kBlock);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) sums[r][b] = fma(query[r], column, sums[r][b]);
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; b++) {
    if (b == blocks) break;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) store(scores + r * kTile + b * kBlock, sums[r][b]);
  }
}

template <int kRows, class Keys>
void score(const float* queries, int head_dim, Keys keys, int blocks, float* scores) {
  constexpr int kBlocks = vectors_for(kRows);
  for (int b = 0; b < blocks; b += kBlocks)
    score_blocks<kRows, kBlocks>(queries, head_dim, keys.from(b), smaller(kBlocks, blocks - b),
                                 scores + b * kBlock);
}

// output[row][first … + kVectors · 16] += weights[row][position] · values[position] for positions
// begin ≤ position < end of the blocks in `values`. If kTail, one vector of only `tail` features.
template <int kRows, int kVectors, bool kTail, class Values>
void add_features(const float* weights, int head_dim, Values values, int begin, int end, int first,
                  int tail, float* output) {
  F sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) {
      const float* p = output + r * head_dim + first + v * 16;
      sums[r][v] = kTail ? load(p, tail) : load(p);
    }
  for (int position = begin; position < end;) {
    const int stop = smaller(end, (position / kBlock + 1) * kBlock);
    const int block = position / kBlock;
    int offset = (position % kBlock) * head_dim + first;
    // As many vectors of a block to come, but as they lie in memory: the processor sees a stream.
    int expected = first * kBlock + (position % kBlock) * (kVectors * 16);
    for (; position < stop; position++, offset += head_dim, expected += kVectors * 16) {
      F feature[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) {
        const auto* p = values.at[block] + offset + v * 16;
        feature[v] = kTail ? read(p, tail) : read(p);
        values.expect(block, expected + v * 16);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) {
        const F weight = set(weights[r * kTile + position]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; v++) sums[r][v] = fma(weight, feature[v], sums[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) {
      float* p = output + r * head_dim + first + v * 16;
      if (kTail) {
        store(p, sums[r][v], tail);
      } else {
        store(p, sums[r][v]);
      }
    }
}

template <int kRows, class Values>
void add_values(const float* weights, int head_dim, Values values, int begin, int end,
                float* output) {
  if (begin >= end) return;
  constexpr int kVectors = vectors_for(kRows);
  int d = 0;
  for (; d + kVectors * 16 <= head_dim; d += kVectors * 16)
    add_features<kRows, kVectors, false>(weights, head_dim, values, begin, end, d, 0, output);
  if constexpr (kVectors > 2)
    for (; d + 32 <= head_dim; d += 32)
      add_features<kRows, 2, false>(weights, head_dim, values, begin, end, d, 0, output);
  for (; d + 16 <= head_dim; d += 16)
    add_features<kRows, 1, false>(weights, head_dim, values, begin, end, d, 0, output);
  if (d < head_dim)
    add_features<kRows, 1, true>(weights, head_dim, values, begin, end, d, head_dim - d, output);
}

// Scores of the `visible` first positions -> exp(score - maximum) in their place, and their sum.
void exponentials(float* scores, int visible, float& maximum_out, float& total) {
  const int whole = visible / 16, rest = visible % 16;
  float* last = scores + whole * 16;
  F largest = set(-__builtin_inff());
  for (int i = 0; i < whole; i++) largest = max(largest, load(scores + i * 16));
  if (rest) largest = max(largest, keep_first(load(last), rest, largest));
  maximum_out = maximum(largest);
  const F top = set(maximum_out);
  F sums = zero();
  for (int i = 0; i < whole; i++) {
    const F weight = exp(sub(load(scores + i * 16), top));
    store(scores + i * 16, weight);
    sums = add(sums, weight);
  }
  if (rest) {
    const F weight = keep_first(exp(sub(load(last), top)), rest, zero());
    store(last, weight);
    sums = add(sums, weight);
  }
  total = sum(sums);
}

// What of the cache belongs to a tile of one KV head.
struct TileOf {
  const void* array;  // all keys or all values
  int tile;
  int blocks;
};

// Where its blocks lie, and what is read after them: as many, and for the last blocks in hand, of
// which several are read at once, a few more.
template <class Element>
struct TileBlocks {
  static constexpr int kSize = 2 * kTileBlocks + vectors_for(1);
  const Element* at[kSize];

  TileBlocks(const QueryRows& rows, TileOf now, TileOf next) {
    for (int b = 0; b < now.blocks; b++) at[b] = locate(rows, now, b);
    for (int b = now.blocks; b < kSize; b++)
      at[b] = locate(rows, next, smaller(b - now.blocks, next.blocks - 1));
  }

 private:
  static const Element* locate(const QueryRows& rows, const TileOf& of, int block) {
    const std::ptrdiff_t index = rows.blocks[of.tile * kTileBlocks + block];
    const std::ptrdiff_t size = kBlock * rows.cache.head_dim;
    return static_cast<const Element*>(of.array) +
           (index * rows.cache.kv_heads + rows.kv_head) * size;
  }
};

// Adds the next tile's maxima and totals to those so far. They become what the outputs count from
// now on: `next.maximum` the decay of those so far, `next.total` the share of the next tile's.
void weigh(Contribution so_far, Contribution next, int first_row, int count) {
  for (int row = first_row; row < count; row += 16) {
    const int n = smaller(16, count - row);
    const F ours = load_some(so_far.maximum + row, n), theirs = load_some(next.maximum + row, n);
    const F raised = max(ours, theirs);
    const F decay = exp(sub(ours, raised)), share = exp(sub(theirs, raised));
    const F total = add(mul(load_some(so_far.total + row, n), decay),
                        mul(load_some(next.total + row, n), share));
    store_some(so_far.maximum + row, raised, n);
    store_some(so_far.total + row, total, n);
    store_some(next.maximum + row, decay, n);
    store_some(next.total + row, share, n);
  }
}

// Rows see more the later they are: those that see a tile are the last ones.
int first_seeing(const QueryRows& rows, int tile) {
  const int token = max_of(0, tile * kTile - rows.start);
  return smaller(token, rows.tokens) * rows.sharing;
}

void combine(const QueryRows& rows, int tile, Contribution so_far, Contribution next) {
  const int head_dim = rows.cache.head_dim, count = rows.rows();
  const int first_row = first_seeing(rows, tile);
  weigh(so_far, next, first_row, count);
  for (int row = first_row; row < count; row++) {
    const F decay = set(next.maximum[row]), share = set(next.total[row]);
    float* output = so_far.output + std::size_t(row) * head_dim;
    const float* added = next.output + std::size_t(row) * head_dim;
    for_vectors(head_dim, [&](int i, int n) {
      const F ours = load_some(output + i, n), theirs = load_some(added + i, n);
      store_some(output + i, add(mul(ours, decay), mul(theirs, share)), n);
    });
  }
}

void finish_rows(const QueryRows& rows, int begin, int end, Contribution all) {
  const int head_dim = rows.cache.head_dim;
  for (int row = begin; row < end; row++) {
    const F total = set(all.total[row]);
    const float* output = all.output + std::size_t(row) * head_dim;
    float* out = rows.out_of(row);
    for_vectors(head_dim, [&](int i, int n) {
      store_some(out + i, div(load_some(output + i, n), total), n);
    });
  }
}

void finish(const QueryRows& rows, Contribution all) { finish_rows(rows, 0, rows.rows(), all); }

// What a tile's kernel is given: the rows that see the tile, and its blocks of the cache.
template <class Element>
struct Tile {
  const QueryRows& rows;
  int index;
  int first_row, count;  // rows [first_row, count) see it
  int head_dim;
  int blocks;
  TileBlocks<Element> keys, values;  // each followed by what is read after it

  static Tile of(const QueryRows& rows, int tile) {
    const int count = rows.rows();
    const auto blocks_of = [&](int some_tile) {
      return (rows.visible(count - 1, some_tile) + kBlock - 1) / kBlock;
    };
    const int blocks = blocks_of(tile);
    const int next = tile + 1 < rows.tiles() ? tile + 1 : tile;
    const TileOf keys_now{rows.cache.keys, tile, blocks};
    const TileOf values_now{rows.cache.values, tile, blocks};
    const TileOf keys_next{rows.cache.keys, next, blocks_of(next)};
    return {rows,
            tile,
            first_seeing(rows, tile),
            count,
            rows.cache.head_dim,
            blocks,
            TileBlocks<Element>(rows, keys_now, values_now),
            TileBlocks<Element>(rows, values_now, keys_next)};
  }
  int visible(int row) const { return rows.visible(row, index); }
  int blocks_seen(int row) const { return (visible(row) + kBlock - 1) / kBlock; }
};

// Few rows: scores and outputs straight from the cache.
template <class Element>
void stream(const Tile<Element>& tile, const float* scaled, float* scores, Contribution result) {
  const int head_dim = tile.head_dim, row = tile.first_row, count = tile.count - row;
  const auto output_of = [&](int some) { return result.output + std::size_t(some) * head_dim; };
  const int block_bytes = kBlock * head_dim * int(sizeof(Element));
  const int panel = smaller(kTileBlocks, max_of(kPanelBytes / block_bytes, vectors_for(1)));
  const auto for_panels = [&](const TileBlocks<Element>& blocks, const auto& body) {
    for (int first = 0; first < tile.blocks; first += panel)
      body(Blocks<Element>{blocks.at + first, panel}, first, smaller(panel, tile.blocks - first));
  };
  with_rows<kMaxRows>(count, [&](auto rows_now) {
    constexpr int kRows = rows_now.value;
    for_panels(tile.keys, [&](auto blocks, int first, int panel_blocks) {
      score<kRows>(scaled + row * head_dim, head_dim, blocks, panel_blocks,
                   scores + row * kTile + first * kBlock);
    });
    for (int some = row; some < row + kRows; some++)
      exponentials(scores + some * kTile, tile.visible(some), result.maximum[some],
                   result.total[some]);
    for (int i = 0; i < kRows * head_dim; i++) output_of(row)[i] = 0;
    for_panels(tile.values, [&](auto blocks, int first, int panel_blocks) {
      const int begin = first * kBlock, end = begin + panel_blocks * kBlock;
      const auto seen_here = [&](int some) { return smaller(end, tile.visible(some)) - begin; };
      const float* weights = scores + row * kTile + begin;
      // All rows together as far as the first of them sees, then each by itself.
      const int common = max_of(0, seen_here(row));
      add_values<kRows>(weights, head_dim, blocks, 0, common, output_of(row));
      for (int r = 1; r < kRows; r++)
        add_values<1>(weights + r * kTile, head_dim, blocks, common, seen_here(row + r),
                      output_of(row + r));
    });
  });
}

// scores[row][kSharedLanes] of as many keys: panel [head_dim][kSharedLanes].
template <int kRows>
void score_panel(const float* queries, int head_dim, const float* panel, float* scores) {
  F sums[kRows][kSharedVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++) sums[r][v] = zero();
  for (int d = 0; d < head_dim; d++, panel += kSharedLanes) {
    F column[kSharedVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++) column[v] = load(panel + v * 16);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++) {
      const F query = set(queries[r * head_dim + d]);
#pragma GCC unroll 8
      for (int v = 0; v < kSharedVectors; v++) sums[r][v] = fma(query, column[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++) store(scores + r * kTile + v * 16, sums[r][v]);
}

// The rows that a call of `add_panel` adds to.
struct SharedRows {
  const float* weights;  // [row][kTile]
  const int* visible;    // [row], ascending
  const float* decay;    // [row], of the output so far; null: there is none yet
  const float* share;    // [row], of what is added
  float* output;         // [row][head_dim]
  int head_dim;
  int features;          // that are left, of which the panel has up to kSharedLanes
  int ending;            // so many of the rows have seen all now: out = output / total
  const float* total;    // [row]
  const QueryRows& queries;
  int first_row, first_feature;  // in `queries`

  float* out(int row) const { return queries.out_of(first_row + row) + first_feature; }
};

// output = output · decay + (Σ weight · value over the visible positions) · share, for the features
// of panel [position][kSharedLanes].
template <int kRows>
void add_panel(const SharedRows& rows, const float* panel) {
  F sums[kRows][kSharedVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++) sums[r][v] = zero();
  const auto add_position = [&](int position, const auto& takes_part) {
    const float* features = panel + position * kSharedLanes;
    F feature[kSharedVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++) feature[v] = load(features + v * 16);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++) {
      if (!takes_part(r)) continue;
      const F weight = set(rows.weights[r * kTile + position]);
#pragma GCC unroll 8
      for (int v = 0; v < kSharedVectors; v++) sums[r][v] = fma(weight, feature[v], sums[r][v]);
    }
  };
  const int common = rows.visible[0], end = rows.visible[kRows - 1];
  for (int position = 0; position < common; position++)
    add_position(position, [](int) { return true; });
  for (int position = common; position < end; position++)
    add_position(position, [&](int r) { return position < rows.visible[r]; });
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++) {
    float* output = rows.output + r * rows.head_dim;
    float* out = r < rows.ending ? rows.out(r) : output;
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++) {
      const int n = smaller(16, rows.features - v * 16);
      if (n <= 0) continue;
      F result = sums[r][v];
      if (rows.decay) {
        const F before = load_some(output + v * 16, n);
        result = add(mul(before, set(rows.decay[r])), mul(result, set(rows.share[r])));
      }
      if (r < rows.ending) result = div(result, set(rows.total[r]));
      store_some(out + v * 16, result, n);
    }
  }
}

// Room for a panel of keys or values.
std::size_t panel_floats(int head_dim) {
  const int keys = max_of(kSharedLanes * head_dim, kPanelBytes / int(sizeof(float)));
  return max_of(keys, kTile * kSharedLanes);
}

// Many rows: panels of the cache are copied, and every row uses them before the next.
template <class Element>
void share(const Tile<Element>& tile, bool first, int ended, const float* scaled, float* scores,
           float* panel, Contribution own, Contribution so_far) {
  const int head_dim = tile.head_dim, count = tile.count;
  const auto for_groups = [&](const auto& body) {
    for (int row = tile.first_row; row < count; row += kSharedRows)
      with_rows<kSharedRows>(smaller(kSharedRows, count - row),
                             [&](auto rows_now) { body(row, rows_now); });
  };

  // Panels of [head_dim][kSharedLanes] side by side. Where a block is missing the last one is
  // repeated: its scores are not used.
  const Blocks<Element> keys{tile.keys.at, tile.blocks};
  const int vector_bytes = kSharedLanes * head_dim * int(sizeof(float));
  const int panel_blocks = kSharedVectors * max_of(1, kPanelBytes / vector_bytes);
  for (int begin = 0; begin < tile.blocks; begin += panel_blocks) {
    const int end = smaller(begin + panel_blocks, tile.blocks);
    for (int b = begin; b < end; b += kSharedVectors)
      for (int v = 0; v < kSharedVectors; v++) {
        const int block = smaller(b + v, tile.blocks - 1);
        float* to = panel + (b - begin) * kBlock * head_dim + v * 16;
        for (int d = 0; d < head_dim; d++) {
          store(to + d * kSharedLanes, read(keys.at[block] + d * kBlock));
          keys.expect(block, d * kBlock);
        }
      }
    for_groups([&](int row, auto rows_now) {
      constexpr int kRows = rows_now.value;
      const int all_seen = tile.blocks_seen(row + kRows - 1), seen = smaller(end, all_seen);
      for (int b = begin; b < seen; b += kSharedVectors) {
        // A few lines of what is written in the end: asked for all at once they are slow to come.
        const int step = (all_seen + kSharedVectors - 1) / kSharedVectors * 16;
        for (int d = b / kSharedVectors * 16; d < head_dim; d += step)
          for (int r = 0; r < kRows && row + r < ended; r++)
            __builtin_prefetch(tile.rows.out_of(row + r) + d, 1, Blocks<Element>::kIntoL2);
        score_panel<kRows>(scaled + row * head_dim, head_dim,
                           panel + (b - begin) * kBlock * head_dim,
                           scores + row * kTile + b * kBlock);
      }
    });
  }

  const Contribution& result = first ? so_far : own;
  for (int row = tile.first_row; row < count; row++)
    exponentials(scores + row * kTile, tile.visible(row), result.maximum[row], result.total[row]);
  if (!first) weigh(so_far, own, tile.first_row, count);

  const Blocks<Element> values{tile.values.at, tile.blocks};
  for (int d = 0; d < head_dim; d += kSharedLanes) {
    for (int position = 0; position < tile.blocks * kBlock; position++)
      for (int v = 0; v < kSharedVectors; v++) {
        const int n = smaller(16, head_dim - d - v * 16);
        if (n <= 0) continue;
        const int block = position / kBlock, offset = position % kBlock * head_dim + d + v * 16;
        const Element* from = values.at[block] + offset;
        store(panel + position * kSharedLanes + v * 16, n == 16 ? read(from) : read(from, n));
        values.expect(block, offset);
      }
    for_groups([&](int row, auto rows_now) {
      constexpr int kRows = rows_now.value;
      int visible[kRows];
      for (int r = 0; r < kRows; r++) visible[r] = tile.visible(row + r);
      const SharedRows now{scores + row * kTile,
                           visible,
                           first ? nullptr : own.maximum + row,
                           own.total + row,
                           so_far.output + std::size_t(row) * head_dim + d,
                           head_dim,
                           head_dim - d,
                           ended - row,
                           so_far.total + row,
                           tile.rows,
                           row,
                           d};
      add_panel<kRows>(now, panel);
    });
  }
}

template <class Element>
void add_tile(const QueryRows& rows, int index, TileOrder order, const float* scaled,
              float* scratch, Contribution so_far) {
  const auto tile = Tile<Element>::of(rows, index);
  const bool first = order == TileOrder::alone || index == 0;
  const int ended = order == TileOrder::alone ? 0 : first_seeing(rows, index + 1);
  float* panel = scratch;
  float* scores = panel + panel_floats(tile.head_dim);
  const Contribution own =
      Contribution::in(scores + std::size_t(tile.count) * kTile, tile.count);
  if (tile.count - tile.first_row > kMaxRows) {
    share(tile, first, ended, scaled, scores, panel, own, so_far);
  } else {
    stream(tile, scaled, scores, first ? so_far : own);
    if (!first) combine(rows, index, so_far, own);
    finish_rows(rows, tile.first_row, ended, so_far);
  }
}

std::size_t scratch_floats(const QueryRows& rows) {
  return panel_floats(rows.cache.head_dim) + std::size_t(rows.rows()) * kTile +
         Contribution::floats(rows.rows(), rows.cache.head_dim);
}

void scale_queries(const QueryRows& rows, float scale, float* scaled) {
  const int width = rows.sharing * rows.cache.head_dim;  // these heads of a token lie together
  const F factor = set(scale);
  for (int token = 0; token < rows.tokens; token++, scaled += width) {
    const float* queries = rows.queries + token * rows.stride;
    for_vectors(width, [&](int i, int n) {
      store_some(scaled + i, mul(load_some(queries + i, n), factor), n);
    });
  }
}

// 16 features of one position into its column of a key block.
template <class Element>
inline void store_column(Element* column, F features, int n) {
  Element rounded[16];
  write(rounded, features);
  for (int i = 0; i < n; i++) column[i * kBlock] = rounded[i];
}

template <class Element>
void rotate_and_store(const CacheLayer& cache, int heads, const float* qkv, const float* cosines,
                      const float* sines, std::int64_t slot, float* queries) {
  const int head_dim = cache.head_dim, half = head_dim / 2;
  const std::ptrdiff_t block_size = std::ptrdiff_t(kBlock) * head_dim;
  const std::ptrdiff_t block = slot / kBlock * cache.kv_heads * block_size;
  const int position = static_cast<int>(slot % kBlock);
  // Calls body(feature, first, second, lanes): the rotated features from `feature` and from
  // half + `feature`.
  const auto rotate = [&](const float* head, const auto& body) {
    for_vectors(half, [&](int i, int n) {
      const F a = load_some(head + i, n), b = load_some(head + half + i, n);
      const F cosine = load_some(cosines + i, n), sine = load_some(sines + i, n);
      body(i, sub(mul(a, cosine), mul(b, sine)), add(mul(b, cosine), mul(a, sine)), n);
    });
  };

  for (int head = 0; head < heads; head++, qkv += head_dim, queries += head_dim)
    rotate(qkv, [&](int i, F first, F second, int n) {
      store_some(queries + i, first, n);
      store_some(queries + half + i, second, n);
    });
  for (int head = 0; head < cache.kv_heads; head++, qkv += head_dim) {
    Element* column = static_cast<Element*>(cache.keys) + block + head * block_size + position;
    rotate(qkv, [&](int i, F first, F second, int n) {
      store_column(column + i * kBlock, first, n);
      store_column(column + (half + i) * kBlock, second, n);
    });
  }
  for (int head = 0; head < cache.kv_heads; head++, qkv += head_dim) {
    Element* row = static_cast<Element*>(cache.values) + block + head * block_size +
                   position * head_dim;
    for_vectors(head_dim, [&](int i, int n) {
      if (n == 16) {
        write(row + i, load(qkv + i));
      } else {
        write(row + i, load(qkv + i, n), n);
      }
    });
  }
}

}  // namespace

void fill(AttentionKernels& kernels) {
  const auto set = [&](DType dtype, auto tile_kernel, auto store_kernel) {
    kernels.add_tile[static_cast<int>(dtype)] = tile_kernel;
    kernels.rotate_and_store[static_cast<int>(dtype)] = store_kernel;
  };
  set(DType::fp32, add_tile<float>, rotate_and_store<float>);
  set(DType::fp16, add_tile<Fp16>, rotate_and_store<Fp16>);
  set(DType::bf16, add_tile<Bf16>, rotate_and_store<Bf16>);
  kernels.scale_queries = scale_queries;
  kernels.scratch_floats = scratch_floats;
  kernels.combine = combine;
  kernels.finish = finish;
}

}  // namespace homerun::HOMERUN_ISA
