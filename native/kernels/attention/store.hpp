// What is written to the cache: rotated keys, values, each rounded to the cache's dtype.
// Knows one token; knows nothing of sequences.
#pragma once

#include "kernels/attention/numbers.hpp"

namespace homerun::HOMERUN_ISA {

inline void write(float* p, F v, int n) { store_some(p, v, n); }
inline void write(Fp16* p, F v, int n) {
  n == 16 ? store_fp16(&p->bits, v) : store_fp16(&p->bits, v, n);
}
inline void write(Bf16* p, F v, int n) {
  const F kept = round_factor(v);
  n == 16 ? store_bf16(&p->bits, kept) : store_bf16(&p->bits, kept, n);
}
inline void write(Int8* p, F integers, int n) {
  alignas(64) float lanes[16];
  store(lanes, integers);
  for (int i = 0; i < n; i++) p[i].value = static_cast<std::int8_t>(lanes[i]);
}

// 16 features of one position into its column of a key block.
template <class Element>
inline void write_column(Element* column, F features, int n) {
  Element rounded[16];
  write(rounded, features, 16);
  for (int i = 0; i < n; i++) column[i * kBlock] = rounded[i];
}

// The scale of a head whose features for_features(body) gives as body(feature, lanes of it, count).
// NaN if one is not finite.
template <class ForFeatures>
inline float scale_of(const ForFeatures& for_features) {
  F largest = zero(), none = zero();
  for_features([&](int, F v, int n) {
    const F some = n == 16 ? v : keep_first(v, n, zero());
    largest = max(largest, abs(some));
    none = add(none, sub(some, some));
  });
  if (!(sum(none) == 0)) return __builtin_nanf("");
  const float scale = maximum(largest) / 127.0f;
  return scale > kLeastScale ? scale : kLeastScale;
}

// A head's features, as they come or, for int8, as integers times *scale.
template <class Element, class ForFeatures, class Write>
inline void store_head(const ForFeatures& for_features, float* scale, const Write& write_some) {
  if constexpr (std::is_same_v<Element, Int8>) {
    *scale = scale_of(for_features);
    const bool finite = *scale == *scale;
    const F inverse = set(finite ? 1.0f / *scale : 0.0f);
    for_features([&](int i, F v, int n) {
      write_some(i, finite ? round_even(mul(v, inverse)) : zero(), n);
    });
  } else {
    for_features(write_some);
  }
}

template <class Element>
void rotate_and_store(const CacheLayer& cache, int heads, const float* qkv, const float* cosines,
                      const float* sines, std::int64_t slot, float* queries) {
  const int head_dim = cache.head_dim, half = head_dim / 2;
  const std::ptrdiff_t block_size = std::ptrdiff_t(kBlock) * head_dim;
  const std::ptrdiff_t block = slot / kBlock * cache.kv_heads;
  const int position = static_cast<int>(slot % kBlock);
  // Calls body(feature, rotated features from there, lanes).
  const auto rotated = [&](const float* head) {
    return [=](const auto& body) {
      for_vectors(half, [&](int i, int n) {
        const F a = load_some(head + i, n), b = load_some(head + half + i, n);
        const F cosine = load_some(cosines + i, n), sine = load_some(sines + i, n);
        body(i, sub(mul(a, cosine), mul(b, sine)), n);
        body(half + i, add(mul(b, cosine), mul(a, sine)), n);
      });
    };
  };
  const auto as_it_is = [&](const float* head) {
    return [=](const auto& body) {
      for_vectors(head_dim, [&](int i, int n) { body(i, load_some(head + i, n), n); });
    };
  };

  for (int head = 0; head < heads; head++, qkv += head_dim, queries += head_dim)
    rotated(qkv)([&](int i, F features, int n) { store_some(queries + i, features, n); });
  float* scales = cache.scales + block * 2 * kBlock + position;  // null and unused but for int8
  for (int head = 0; head < cache.kv_heads; head++, qkv += head_dim) {
    Element* column = static_cast<Element*>(cache.keys) + (block + head) * block_size + position;
    store_head<Element>(rotated(qkv), scales + head * 2 * kBlock, [&](int i, F features, int n) {
      write_column(column + i * kBlock, features, n);
    });
  }
  for (int head = 0; head < cache.kv_heads; head++, qkv += head_dim) {
    Element* row = static_cast<Element*>(cache.values) + (block + head) * block_size +
                   position * head_dim;
    store_head<Element>(as_it_is(qkv), scales + (head * 2 + 1) * kBlock,
                        [&](int i, F features, int n) { write(row + i, features, n); });
  }
}

}  // namespace homerun::HOMERUN_ISA
