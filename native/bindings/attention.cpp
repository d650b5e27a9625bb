// Attention and the paged cache for Python: checks what NumPy hands over, then leaves the GIL.
#include "bindings/cache.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include <nanobind/stl/optional.h>

#include "ops/linear.hpp"

namespace {

using homerun::AttentionPlan;
using homerun::AttentionSegment;
using homerun::CacheLayer;

// The heads of a token, `heads` of `head_dim` numbers each.
void check_heads(std::size_t heads, std::size_t head_dim) {
  constexpr std::size_t kMost = 1 << 22;
  require(heads <= kMost && head_dim <= kMost && heads * head_dim <= kMost,
          "the heads of a token have at most 2^22 numbers");
}

// The dtype of a cache, as float_dtype or int8.
homerun::DType cache_dtype(const char* name, nb::dlpack::dtype type) {
  if (std::strcmp(name, "int8") != 0) return float_dtype(name, type);
  if (type != nb::dtype<std::int8_t>()) throw nb::type_error("numbers of an int8 cache are int8");
  return homerun::DType::int8;
}

}  // namespace

CacheLayer cache_layer(const CacheArray& keys, const CacheArray& values,
                       const std::optional<ScaleArray>& scales, const char* dtype, int layer) {
  const homerun::DType type = cache_dtype(dtype, keys.dtype());
  const std::size_t kv_heads = keys.shape(2), head_dim = keys.shape(3), block = keys.shape(4);
  require(block == homerun::kBlock, "the native cache has blocks of 16 positions");
  require(values.dtype() == keys.dtype() && values.shape(0) == keys.shape(0) &&
              values.shape(1) == keys.shape(1) && values.shape(2) == kv_heads &&
              values.shape(3) == block && values.shape(4) == head_dim,
          "keys are [layers, blocks, kv_heads, head_dim, 16], values [layers, blocks, kv_heads, "
          "16, head_dim], of one dtype");
  require(kv_heads > 0 && head_dim > 0 && head_dim % 2 == 0, "head_dim must be even");
  check_heads(kv_heads, head_dim);
  require(layer >= 0 && std::size_t(layer) < keys.shape(0), "no such layer in the cache");
  const std::size_t numbers = keys.shape(1) * kv_heads * head_dim * block;  // of a layer
  const std::size_t size = homerun::bytes_of(type) * numbers * static_cast<std::size_t>(layer);
  require(scales.has_value() == (type == homerun::DType::int8),
          "an int8 cache, and no other, has scales");
  float* layer_scales = nullptr;
  if (scales) {
    require(scales->shape(0) == keys.shape(0) && scales->shape(1) == keys.shape(1) &&
                scales->shape(2) == kv_heads && scales->shape(3) == 2 &&
                scales->shape(4) == block,
            "scales are [layers, blocks, kv_heads, 2, 16]");
    layer_scales = scales->data() + keys.shape(1) * kv_heads * 2 * block * layer;
  }
  return {type,
          static_cast<char*>(keys.data()) + size,
          static_cast<char*>(values.data()) + size,
          static_cast<int>(kv_heads),
          static_cast<int>(head_dim),
          layer_scales};
}

void check_rotations(std::size_t rows, const CacheLayer& cache, const CacheArray& keys,
                     const Input<float, 2>& cosines, const Input<float, 2>& sines,
                     const Input<std::int64_t, 1>& slots) {
  const std::size_t half = cache.head_dim / 2;
  require(cosines.shape(0) == rows && cosines.shape(1) == half && sines.shape(0) == rows &&
              sines.shape(1) == half,
          "cosines and sines must be [rows, head_dim / 2]");
  require(slots.shape(0) == rows, "slots must be [rows]");
  const auto limit = static_cast<std::int64_t>(keys.shape(1)) * homerun::kBlock;
  for (std::size_t i = 0; i < rows; i++)
    require(slots.data()[i] >= 0 && slots.data()[i] < limit, "a slot is beyond the cache");
}

void check_plan(std::size_t rows, std::size_t heads, const CacheLayer& cache,
                const CacheArray& keys, const AttentionPlan& plan) {
  check_heads(heads, cache.head_dim);
  require(rows == static_cast<std::size_t>(plan.rows), "the plan is for another number of rows");
  require(heads > 0 && heads % cache.kv_heads == 0,
          "there must be heads a multiple of the cache's");
  require(plan.max_block < static_cast<std::int64_t>(keys.shape(1)),
          "a block number is beyond the cache");
}

namespace {

// `segments`: objects with first_row, rows, start and block_table (int32), as base.Segment.
void make_plan(AttentionPlan* self, nb::sequence segments, int block_size) {
  require(block_size == homerun::kBlock, "the native cache has blocks of 16 positions");
  AttentionPlan plan;
  for (nb::handle segment : segments) {
    const auto integer = [&](const char* name) {
      return number<int>(segment.attr(name), "first_row, rows and start are integers of 32 bits");
    };
    const AttentionSegment one{integer("first_row"), integer("rows"), integer("start"),
                               plan.tables.size()};
    Input<std::int32_t, 1> table;
    if (!nb::try_cast(segment.attr("block_table"), table, false))
      throw nb::type_error("a block table is int32 [n], contiguous");
    require(one.first_row == plan.rows && one.rows > 0,
            "segments must follow each other and have rows");
    constexpr int kMost = 1 << 30;
    require(one.start >= 0 && one.start <= kMost && one.rows <= kMost - plan.rows,
            "there are more than 2^30 positions or rows");
    const std::size_t used = (one.start + one.rows - 1) / homerun::kBlock + 1;
    require(table.shape(0) >= used, "a block table is shorter than its sequence");
    plan.tables.insert(plan.tables.end(), table.data(), table.data() + used);
    plan.segments.push_back(one);
    plan.rows += one.rows;
  }
  for (std::int32_t block : plan.tables) {
    require(block >= 0, "a block number is negative");
    plan.max_block = std::max(plan.max_block, block);
  }
  new (self) AttentionPlan(std::move(plan));
}

void attention(Input<float, 3> queries, CacheArray keys, CacheArray values, const char* dtype,
               int layer, const AttentionPlan& plan, Output<float, 2> out,
               std::optional<ScaleArray> scales) {
  const CacheLayer cache = cache_layer(keys, values, scales, dtype, layer);
  const std::size_t rows = queries.shape(0), heads = queries.shape(1);
  check_plan(rows, heads, cache, keys, plan);
  require(queries.shape(2) == static_cast<std::size_t>(cache.head_dim),
          "queries must be [rows, heads, head_dim]");
  require(out.shape(0) == rows && out.shape(1) == heads * cache.head_dim,
          "out must be [rows, heads * head_dim]");
  const GilReleased released;
  homerun::attention(cache, static_cast<int>(heads), plan, queries.data(), out.data());
}

void rotate_and_store(Input<float, 2> qkv, Input<float, 2> cosines, Input<float, 2> sines,
                      CacheArray keys, CacheArray values, const char* dtype, int layer,
                      Input<std::int64_t, 1> slots, Output<float, 3> queries,
                      std::optional<ScaleArray> scales) {
  const CacheLayer cache = cache_layer(keys, values, scales, dtype, layer);
  const std::size_t rows = qkv.shape(0), heads = queries.shape(1), head_dim = cache.head_dim;
  const int row_count = extent(rows);
  check_heads(heads, head_dim);
  require(queries.shape(0) == rows && queries.shape(2) == head_dim &&
              qkv.shape(1) == (heads + 2 * cache.kv_heads) * head_dim,
          "qkv must be [rows, (heads + 2 * kv_heads) * head_dim], queries_out [rows, heads, "
          "head_dim]");
  check_rotations(rows, cache, keys, cosines, sines, slots);
  const GilReleased released;
  homerun::rotate_and_store(cache, static_cast<int>(heads), row_count, qkv.data(), cosines.data(),
                            sines.data(), slots.data(), queries.data());
}

}  // namespace

void bind_attention(nb::module_& m) {
  nb::class_<AttentionPlan>(m, "AttentionPlan", "The segments of a batch; serves every layer.")
      .def("__init__", &make_plan, nb::arg("segments"), nb::arg("block_size"));
  m.def("attention", &attention, nb::arg("queries").noconvert(), nb::arg("keys").noconvert(),
        nb::arg("values").noconvert(), nb::arg("dtype"), nb::arg("layer"), nb::arg("plan"),
        nb::arg("out").noconvert(), nb::arg("scales").noconvert() = nb::none(),
        "Ops.attention for float32 queries [M, heads, head_dim] into out [M, heads * head_dim].");
  m.def("rotate_and_store", &rotate_and_store, nb::arg("qkv").noconvert(),
        nb::arg("cosines").noconvert(), nb::arg("sines").noconvert(), nb::arg("keys").noconvert(),
        nb::arg("values").noconvert(), nb::arg("dtype"), nb::arg("layer"),
        nb::arg("slots").noconvert(), nb::arg("queries_out").noconvert(),
        nb::arg("scales").noconvert() = nb::none(),
        "Ops.rotate_and_store into the cache's arrays and queries_out [M, heads, head_dim].");
}
