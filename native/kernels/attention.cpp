// Attention of some query rows over one tile of the paged cache, and what is written to the cache.
// Knows one KV head of one sequence; which rows and tiles make an item of work is ops/'s affair.
#include <type_traits>

#include "kernels/attention/add_tile.hpp"
#include "kernels/attention/store.hpp"
#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

// Rows that share a copy: more make the copying cheaper, but need more cache.
constexpr int kRowsPerItem = 128;

template <class Element>
void add_tile(const QueryRows& rows, int index, TileOrder order, const float* scaled,
              float* scratch, Contribution so_far) {
  add_tile_of(Tile<Element>::of(rows, index), order, scaled, scratch, so_far);
}

void scale_queries(const QueryRows& rows, float scale, float* scaled) {
  const int width = rows.sharing * rows.cache.head_dim;  // these heads of a token lie together
  const bool rounds = rows.cache.dtype == DType::bf16 || rows.cache.dtype == DType::int8;
  // The heads of a token are a short piece of a long row, which the processor does not foresee.
  constexpr int kTokensAhead = 8;
  const F factor = set(scale);
  for (int token = 0; token < rows.tokens; token++, scaled += width) {
    const float* queries = rows.queries + token * rows.stride;
    for_vectors(width, [&](int i, int n) {
      __builtin_prefetch(queries + kTokensAhead * rows.stride + i);
      const F query = mul(load_some(queries + i, n), factor);
      store_some(scaled + i, rounds ? round_factor(query) : query, n);
    });
  }
}

void finish(const QueryRows& rows, Contribution all) { finish_rows(rows, 0, rows.rows(), all); }

}  // namespace

void fill(AttentionKernels& kernels) {
  const auto set = [&](DType dtype, auto element) {
    using Element = decltype(element);
    const int i = static_cast<int>(dtype);
    kernels.add_tile[i] = add_tile<Element>;
    kernels.scratch_floats[i] = scratch_of_lanes;
    kernels.rotate_and_store[i] = rotate_and_store<Element>;
    kernels.most_rows[i] = kRowsPerItem;
  };
  set(DType::fp32, float{});
  set(DType::fp16, Fp16{});
  set(DType::bf16, Bf16{});
  set(DType::int8, Int8{});
  kernels.scale_queries = scale_queries;
  kernels.combine = combine;
  kernels.finish = finish;
}

}  // namespace homerun::HOMERUN_ISA
