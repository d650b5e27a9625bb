// Few rows: scores and outputs straight from the cache, which is read once, as fast as memory gives
// it. A row is never multiplied with a value that it may not see: that could be an infinity.
#pragma once

#include "kernels/attention/softmax.hpp"

namespace homerun::HOMERUN_ISA {

#if defined(HOMERUN_ISA_avx512_vnni) || defined(HOMERUN_ISA_amx)
constexpr int kAccumulators = 24;  // of 32 registers
constexpr int kMaxRows = 8;
#elif defined(HOMERUN_ISA_portable)
constexpr int kAccumulators = 2;  // it is not fast anyway: few variants compile sooner
constexpr int kMaxRows = 2;
#else
constexpr int kAccumulators = 6;  // an F takes two of AVX2's 16 registers, four of NEON's 32
constexpr int kMaxRows = 6;
#endif

// What is read or copied of the cache at a time should stay in the L1 cache.
constexpr int kPanelBytes = 32 * 1024;

// In parts: sums of each product, of the even and of the odd terms.
template <class Element>
constexpr int kAccumulatorsFor =
    kParts<Element> == 1 ? kAccumulators : kAccumulators / (2 * products_of(kParts<Element>));
// So many rows may be given together.
template <class Element>
constexpr int kMaxRowsFor = smaller(kMaxRows, kAccumulatorsFor<Element>);

// Vectors of the cache to hold against `rows` rows: a power of two.
template <class Element>
constexpr int vectors_for(int rows) {
  int vectors = kMostStreams;
  while (vectors > 1 && vectors * rows > kAccumulatorsFor<Element>) vectors /= 2;
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

// What a row takes of queries: [part][head_dim].
template <class Element>
constexpr int row_of_queries(int head_dim) { return kParts<Element> * head_dim; }

// scores[row][block · 16 + lane] for kBlocks blocks of keys at once; where fewer are left the last
// one is computed again and not stored.
template <int kRows, int kBlocks, class Element>
void score_blocks(const float* queries, int head_dim, Blocks<Element> keys, int blocks,
                  float* scores) {
  const Element* key[kBlocks];
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; b++) key[b] = keys.at[smaller(b, blocks - 1)];
  Sums<kRows, kBlocks> sums;
  sums.clear();
  constexpr Terms terms = kTerms<Element>;
  accumulate<terms>(sums, 0, head_dim, [&](auto& some, int d) {
    decltype(factor<terms>(queries, head_dim)) query[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++)
      query[r] = factor<terms>(queries + r * row_of_queries<Element>(head_dim) + d, head_dim);
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; b++) {
      keys.expect(b, d * kBlock);
      const auto column = read(key[b] + d * kBlock);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) add_product(some.at[r][b], query[r], column);
    }
  });
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; b++) {
    if (b == blocks) break;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++)
      store(scores + r * kRowOfScores<Element> + b * kBlock, sums.at[r][b]);
  }
}

template <int kRows, class Element>
void score(const float* queries, int head_dim, Blocks<Element> keys, int blocks, float* scores) {
  constexpr int kBlocks = vectors_for<Element>(kRows);
  for (int b = 0; b < blocks; b += kBlocks)
    score_blocks<kRows, kBlocks>(queries, head_dim, keys.from(b), smaller(kBlocks, blocks - b),
                                 scores + b * kBlock);
}

// output[row][first … + kVectors · 16] += weights[row][position] · values[position] for positions
// begin ≤ position < end of the blocks in `values`. If kTail, one vector of only `tail` features.
template <int kRows, int kVectors, bool kTail, class Element>
void add_features(const float* weights, int head_dim, Blocks<Element> values, int begin, int end,
                  int first, int tail, float* output) {
  Sums<kRows, kVectors> sums;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) {
      const float* p = output + r * head_dim + first + v * 16;
      sums.at[r][v] = kTail ? load(p, tail) : load(p);
    }
  constexpr Terms terms = kTerms<Element>;
  accumulate<terms>(sums, begin, end, [&](auto& some, int position) {
    const int block = position / kBlock, place = position % kBlock;
    const Element* row = values.at[block] + place * head_dim + first;
    // As many vectors of a block to come, but as they lie in memory: the processor sees a stream.
    const int expected = first * kBlock + place * (kVectors * 16);
    decltype(read(row)) feature[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) {
      feature[v] = kTail ? read(row, tail) : read(row + v * 16);
      values.expect(block, expected + v * 16);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const auto weight =
          factor<terms>(weights + r * kRowOfScores<Element> + position, kPositionTile);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) add_product(some.at[r][v], weight, feature[v]);
    }
  });
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) {
      float* p = output + r * head_dim + first + v * 16;
      if (kTail) {
        store(p, sums.at[r][v], tail);
      } else {
        store(p, sums.at[r][v]);
      }
    }
}

template <int kRows, class Element>
void add_values(const float* weights, int head_dim, Blocks<Element> values, int begin, int end,
                float* output) {
  if (begin >= end) return;
  constexpr int kVectors = vectors_for<Element>(kRows);
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

// How many of the positions that the first of some rows sees, and so all of them, they may take
// together: sums in pairs can only be parted between the pairs' groups.
template <class Element>
constexpr int common_of(int first_sees, int last_sees) {
  if (kTerms<Element> == Terms::single || first_sees == last_sees) return first_sees;
  return first_sees / kPairedTerms * kPairedTerms;
}

// Blocks that are read at a time. An even number: see common_of.
template <class Element>
constexpr int blocks_of_panel(int head_dim) {
  const int block_bytes = kBlock * head_dim * int(sizeof(Element));
  const int blocks = smaller(kTileBlocks, max_of(kPanelBytes / block_bytes, kMostStreams));
  static_assert(kPairedTerms == 2 * kBlock && kMostStreams % 2 == 0);
  return blocks / 2 * 2;
}

// Rows [row, row + count) of a tile, at most kMaxRowsFor<Element>. scaled: their queries.
template <class Element>
void stream(const Tile<Element>& tile, int row, int count, const float* scaled, float* scores,
            Contribution result) {
  const int head_dim = tile.head_dim;
  const auto output_of = [&](int some) { return result.output + std::size_t(some) * head_dim; };
  const int panel = blocks_of_panel<Element>(head_dim);
  const auto for_panels = [&](const TileBlocks<Element>& blocks, const auto& body) {
    for (int first = 0; first < tile.blocks; first += panel)
      body(Blocks<Element>{blocks.at + first, panel}, first, smaller(panel, tile.blocks - first));
  };
  with_rows<kMaxRowsFor<Element>>(count, [&](auto rows_now) {
    constexpr int kRows = rows_now.value;
    for_panels(tile.keys, [&](auto blocks, int first, int panel_blocks) {
      score<kRows>(scaled, head_dim, blocks, panel_blocks, scores + first * kBlock);
    });
    weights_in_place(tile, row, row + kRows, scores, result);
    for (int i = 0; i < kRows * head_dim; i++) output_of(row)[i] = 0;
    for_panels(tile.values, [&](auto blocks, int first, int panel_blocks) {
      const int begin = first * kBlock, end = begin + panel_blocks * kBlock;
      const auto seen_here = [&](int some) { return smaller(end, tile.visible(some)) - begin; };
      const float* weights = scores + begin;
      // All rows together as far as all of them see, then each by itself.
      const int common =
          common_of<Element>(max_of(0, seen_here(row)), seen_here(row + kRows - 1));
      add_values<kRows>(weights, head_dim, blocks, 0, common, output_of(row));
      if (common == seen_here(row + kRows - 1)) return;
      for (int r = 0; r < kRows; r++)
        add_values<1>(weights + r * kRowOfScores<Element>, head_dim, blocks, common,
                      seen_here(row + r), output_of(row + r));
    });
  });
}

}  // namespace homerun::HOMERUN_ISA
