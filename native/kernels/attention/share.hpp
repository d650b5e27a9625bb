// Many rows: they share copies in float32 of parts of the cache that stay in the L1 cache, and are
// bound by arithmetic.
//
// Both products are register tiles over the same loop: a vector of the copy (16 positions of a key
// feature, 16 features of a value) is loaded once for several rows, each of which broadcasts one
// number. A lane of a sum is one score, or one feature of one output: so tiling never shows.
#pragma once

#include "kernels/attention/stream.hpp"

namespace homerun::HOMERUN_ISA {

// kSharedRows rows times kSharedVectors vectors of the copy at once.
#if defined(HOMERUN_ISA_avx512_vnni) || defined(HOMERUN_ISA_amx)
constexpr int kSharedRows = 8, kSharedVectors = 2;
#elif defined(HOMERUN_ISA_portable)
constexpr int kSharedRows = 2, kSharedVectors = 1;
#else
constexpr int kSharedRows = 6, kSharedVectors = 1;
#endif
constexpr int kSharedLanes = 16 * kSharedVectors;
static_assert(kTileBlocks % kSharedVectors == 0);

// scores[row][kSharedLanes] of as many keys: panel [head_dim][kSharedLanes].
template <int kRows, Terms terms>
void score_panel(const float* queries, int head_dim, const float* panel, float* scores) {
  Sums<kRows, kSharedVectors> sums;
  sums.clear();
  accumulate<terms>(sums, 0, head_dim, [&](auto& some, int d) {
    F column[kSharedVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++) column[v] = load(panel + d * kSharedLanes + v * 16);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++) {
      const F query = set(queries[r * head_dim + d]);
#pragma GCC unroll 8
      for (int v = 0; v < kSharedVectors; v++) some.at[r][v] = fma(query, column[v], some.at[r][v]);
    }
  });
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++)
      store(scores + r * kPositionTile + v * 16, sums.at[r][v]);
}

// The rows that a call of `add_panel` adds to.
struct SharedRows {
  const float* weights;  // [row][kPositionTile]
  const int* visible;    // [row], ascending
  int common;            // positions that all may take together
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
template <int kRows, Terms terms>
void add_panel(const SharedRows& rows, const float* panel) {
  Sums<kRows, kSharedVectors> sums;
  sums.clear();
  const auto adding = [&](const auto& takes_part) {
    return [&, takes_part](auto& some, int position) {
      const float* features = panel + position * kSharedLanes;
      F feature[kSharedVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kSharedVectors; v++) feature[v] = load(features + v * 16);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; r++) {
        if (!takes_part(r, position)) continue;
        const F weight = set(rows.weights[r * kPositionTile + position]);
#pragma GCC unroll 8
        for (int v = 0; v < kSharedVectors; v++)
          some.at[r][v] = fma(weight, feature[v], some.at[r][v]);
      }
    };
  };
  accumulate<terms>(sums, 0, rows.common, adding([](int, int) { return true; }));
  accumulate<terms>(sums, rows.common, rows.visible[kRows - 1],
                     adding([&](int r, int position) { return position < rows.visible[r]; }));
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++) {
    float* output = rows.output + r * rows.head_dim;
    float* out = r < rows.ending ? rows.out(r) : output;
#pragma GCC unroll 8
    for (int v = 0; v < kSharedVectors; v++) {
      const int n = smaller(16, rows.features - v * 16);
      if (n <= 0) continue;
      F result = sums.at[r][v];
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
inline std::size_t panel_floats(int head_dim) {
  const int keys = max_of(kSharedLanes * head_dim, kPanelBytes / int(sizeof(float)));
  return max_of(keys, kPositionTile * kSharedLanes);
}

// Panels of the cache are copied, and every row uses them before the next.
template <class Element>
void share(const Tile<Element>& tile, bool first, int ended, const float* scaled, float* scores,
           float* panel, Contribution own, Contribution so_far) {
  constexpr Terms terms = kTerms<Element>;
  static_assert(kRowOfScores<Element> == kPositionTile);  // parts are for few rows
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
            __builtin_prefetch(tile.rows.out_of(row + r) + d, 1, kIntoL2);
        score_panel<kRows, terms>(scaled + row * head_dim, head_dim,
                                   panel + (b - begin) * kBlock * head_dim,
                                   scores + row * kPositionTile + b * kBlock);
      }
    });
  }

  const Contribution& result = first ? so_far : own;
  weights_in_place(tile, tile.first_row, count, scores + tile.first_row * kPositionTile, result);
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
      const SharedRows now{scores + row * kPositionTile,
                           visible,
                           common_of<Element>(visible[0], visible[kRows - 1]),
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
      add_panel<kRows, terms>(now, panel);
    });
  }
}

}  // namespace homerun::HOMERUN_ISA
