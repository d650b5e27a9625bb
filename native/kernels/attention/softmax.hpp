// From scores to weights, and how tiles are weighed against each other.
// Knows rows of scores and of outputs; knows nothing of keys and values. Scores count in base 2.
#pragma once

#include "kernels/attention/tile.hpp"

namespace homerun::HOMERUN_ISA {

// Calls body(vector, lanes) for the vectors of `visible` positions.
template <class Body>
inline void for_positions(int visible, const Body& body) {
  const int whole = visible / 16, rest = visible % 16;
  for (int i = 0; i < whole; i++) body(i, 16);
  if (rest) body(whole, rest);
}

// 2^x for x <= 0. Where products are in pairs never below kLeastBf16, and no better than factors.
template <class Element>
inline F power(F x) {
  if constexpr (kTerms<Element> == Terms::single) return exp2(x);
  if constexpr (kTerms<Element> == Terms::in_three_parts) return exp2(max(set(-55.0f), x));
  return rough_exp2(x);
}

// Turns a row's scores of a tile, as its products give them, into weights 2^(score - maximum), and
// gives the maximum and the sum of all weights. scores_at(i) is where those of positions 16 · i …
// are; their weights, as values want them but for rounding, go to write(i, weights).
template <class Element, class ScoresAt, class Write>
inline void weights_of_row(const Tile<Element>& tile, int visible, float& maximum_out,
                           float& total, const ScoresAt& scores_at, const Write& write) {
  const auto score = [&](int i, int n) {
    const F plain = load_some(scores_at(i), n);
    if constexpr (std::is_same_v<Element, Int8>) return mul(plain, load(tile.scales(i)));
    return plain;
  };
  F largest = set(-__builtin_inff());
  for_positions(visible, [&](int i, int n) {
    const F some = score(i, n);
    largest = max(largest, n == 16 ? some : keep_first(some, n, largest));
  });
  maximum_out = maximum(largest);
  const F top = set(maximum_out);
  F sums = zero();
  for_positions(visible, [&](int i, int n) {
    const F below = sub(score(i, n), top);
    const auto seen = [n](F some) { return n == 16 ? some : keep_first(some, n, zero()); };
    const F weight = seen(power<Element>(below));
    sums = add(sums, weight);
    if constexpr (std::is_same_v<Element, Int8>) {
      write(i, seen(mul(weight, load(tile.scales(i) + kBlock))));
    } else {
      write(i, weight);
    }
  });
  total = sum(sums);
}

// The same in place, as floats; low parts behind high ones.
template <class Element>
inline void weights_in_place(const Tile<Element>& tile, float* scores, int visible,
                             float& maximum_out, float& total) {
  weights_of_row(
      tile, visible, maximum_out, total, [&](int i) { return scores + i * 16; },
      [&](int i, F weight) {
        float* to = scores + i * 16;
        if constexpr (kParts<Element> == 1) {
          store(to, kTerms<Element> == Terms::single ? weight : round_bf16(weight));
        } else {
          for (const F part : parts_of_weight(Element{}, weight).at) {
            store(to, part);
            to += kPositionTile;
          }
        }
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
