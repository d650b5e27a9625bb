// From scores to weights, and how tiles are weighed against each other.
// Knows rows of scores and of outputs; knows nothing of keys and values. Scores count in base 2.
#pragma once

#include "kernels/attention/tile.hpp"

namespace homerun::HOMERUN_ISA {

// 2^x for x <= 0. Where products are in pairs never below kLeastBf16, and no better than factors.
template <class Element>
inline F power(F x) {
  if constexpr (kTerms<Element> == Terms::single) return exp2(x);
  if constexpr (kTerms<Element> == Terms::in_three_parts) return exp2(max(set(-55.0f), x));
  return rough_exp2(x);
}

// The scores of a tile's rows, 16 positions at a time: products, times the scales of an int8 cache.
template <class Element, class ScoresAt>
class RowScores {
 public:
  // scores_at(row, i): the products of positions 16 · i … with the row.
  RowScores(const Tile<Element>& tile, const ScoresAt& scores_at) : scores_at_(scores_at) {
    if constexpr (kScaled)
      for (int block = 0; block < tile.blocks; block++) scales_[block] = tile.scales(block);
  }

  F at(int row, int i) const { return scaled(load(scores_at_(row, i)), i); }
  F at(int row, int i, int n) const { return scaled(load_some(scores_at_(row, i), n), i); }
  // Weights as the values of these positions want them.
  F for_values(F weights, int i) const {
    if constexpr (kScaled) return mul(weights, load(scales_[i] + kBlock));
    return weights;
  }

  float largest(int row, int visible) const {
    F some = set(-__builtin_inff()), others = some;
    int i = 0;
    for (; i + 2 <= visible / 16; i += 2) {
      some = max(some, at(row, i));
      others = max(others, at(row, i + 1));
    }
    for (; i * 16 < visible; i++) {
      const int n = smaller(16, visible - i * 16);
      const F last = at(row, i, n);
      others = max(others, n == 16 ? last : keep_first(last, n, others));
    }
    return maximum(max(some, others));
  }

 private:
  static constexpr bool kScaled = std::is_same_v<Element, Int8>;

  F scaled(F plain, int i) const {
    if constexpr (kScaled) return mul(plain, load(scales_[i]));
    return plain;
  }

  const ScoresAt& scores_at_;
  const float* scales_[kScaled ? kTileBlocks : 1];
};

// Turns the scores of rows [begin, end) of a tile, as their products give them, into weights
// 2^(score - maximum), and gives the rows' maxima and sums of all weights. scores_at(row, i) is where
// those of positions 16 · i … are; their weights, as values want them but for rounding, go to
// write(row, i, weights), or those of 32 positions to write(row, i, weights, weights).
template <class Element, class ScoresAt, class Write>
inline void weights_of_rows(const Tile<Element>& tile, int begin, int end,
                            const Contribution& result, const ScoresAt& scores_at,
                            const Write& write) {
  const RowScores scores(tile, scores_at);
  // A row ahead, so that nothing waits for the maximum to cross the lanes.
  float next = scores.largest(begin, tile.visible(begin));
  for (int row = begin; row < end; row++) {
    const float highest = next;
    const F top = set(highest);
    if (row + 1 < end) next = scores.largest(row + 1, tile.visible(row + 1));
    F sums = zero();
    const auto weight = [&](F score) { return power<Element>(sub(score, top)); };
    const int visible = tile.visible(row);
    int i = 0;
    for (; i + 2 <= visible / 16; i += 2) {
      const F left = weight(scores.at(row, i)), right = weight(scores.at(row, i + 1));
      sums = add(add(sums, left), right);
      write(row, i, scores.for_values(left, i), scores.for_values(right, i + 1));
    }
    for (; i * 16 < visible; i++) {
      const int n = smaller(16, visible - i * 16);
      const auto seen = [n](F some) { return n == 16 ? some : keep_first(some, n, zero()); };
      const F some = seen(weight(scores.at(row, i, n)));
      sums = add(sums, some);
      write(row, i, seen(scores.for_values(some, i)));  // what is not seen may have any scale
    }
    result.maximum[row] = highest;
    result.total[row] = sum(sums);
  }
}

// What a row takes of scores or weights: [part][kPositionTile].
template <class Element>
constexpr int kRowOfScores = kParts<Element> * kPositionTile;

// The same in place, as floats; low parts behind high ones. scores: of row `begin`, kRowOfScores
// from row to row.
template <class Element>
inline void weights_in_place(const Tile<Element>& tile, int begin, int end, float* scores,
                             const Contribution& result) {
  const auto at = [&](int row, int i) {
    return scores + std::size_t(row - begin) * kRowOfScores<Element> + i * 16;
  };
  const auto store_one = [](float* to, F weight) {
    if constexpr (kParts<Element> == 1) {
      store(to, kTerms<Element> == Terms::single ? weight : round_bf16(weight));
    } else {
      for (const F part : parts_of_weight(Element{}, weight).at) {
        store(to, part);
        to += kPositionTile;
      }
    }
  };
  weights_of_rows(tile, begin, end, result, at, [&](int row, int i, auto... weights) {
    (store_one(at(row, i++), weights), ...);
  });
}

// Adds the next tile's maxima and totals to those so far. They become what the outputs count from
// now on: `next.maximum` the decay of those so far, `next.total` the share of the next tile's.
inline void weigh(Contribution so_far, Contribution next, int first_row, int count) {
  for (int row = first_row; row < count; row += 16) {
    const int n = smaller(16, count - row);
    const F ours = load_some(so_far.maximum + row, n), theirs = load_some(next.maximum + row, n);
    const F raised = max(ours, theirs);
    const F decay = exp2(sub(ours, raised)), share = exp2(sub(theirs, raised));
    const F total = add(mul(load_some(so_far.total + row, n), decay),
                        mul(load_some(next.total + row, n), share));
    store_some(so_far.maximum + row, raised, n);
    store_some(so_far.total + row, total, n);
    store_some(next.maximum + row, decay, n);
    store_some(next.total + row, share, n);
  }
}

inline void combine(const QueryRows& rows, int tile, Contribution so_far, Contribution next) {
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

inline void finish_rows(const QueryRows& rows, int begin, int end, Contribution all) {
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

}  // namespace homerun::HOMERUN_ISA
