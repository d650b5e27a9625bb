// Attention of some query rows over one tile of the paged cache, and what is written to the cache.
// Knows one KV head of one sequence; which rows and tiles make an item of work is ops/'s affair.
#include "kernels/attention/add_tile.hpp"
#include "kernels/attention/store.hpp"
#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

// Rows that share a copy: more make the copying cheaper, but need more cache.
constexpr int kRowsPerItem = 128;

template <class Element>
void add_tile(const QueryRows& rows, int index, TileOrder order, const void* scaled,
              float* scratch, Contribution so_far) {
  add_tile_of(Tile<Element>::of(rows, index), order, static_cast<const float*>(scaled), scratch,
              so_far);
}

// As [row][head_dim]; rounded if products are summed in pairs.
template <class Element>
void scale_queries(const QueryRows& rows, float scale, void* scaled) {
  const int head_dim = rows.cache.head_dim;
  for_queries(rows, [&](int row, const float* queries) {
    float* to = static_cast<float*>(scaled) + std::size_t(row) * head_dim;
    for_vectors(head_dim, [&](int d, int n) {
      const F query = mul(load_some(queries + d, n), set(scale));
      store_some(to + d, kTerms<Element> == Terms::paired ? round_factor(query) : query, n);
    });
  });
}

std::size_t query_floats(const QueryRows& rows) {
  return std::size_t(rows.rows()) * rows.cache.head_dim;
}

void finish(const QueryRows& rows, Contribution all) { finish_rows(rows, 0, rows.rows(), all); }

}  // namespace

void fill(AttentionKernels& kernels) {
  const auto set = [&](DType dtype, auto element) {
    using Element = decltype(element);
    const int i = static_cast<int>(dtype);
    kernels.narrow[i] = kernels.wide[i] = {kRowsPerItem, scale_queries<Element>, query_floats,
                                           add_tile<Element>, scratch_of_lanes};
    kernels.rotate_and_store[i] = rotate_and_store<Element>;
  };
  set(DType::fp32, float{});
  set(DType::fp16, Fp16{});
  set(DType::bf16, Bf16{});
  set(DType::int8, Int8{});
  kernels.combine = combine;
  kernels.finish = finish;
}

}  // namespace homerun::HOMERUN_ISA
