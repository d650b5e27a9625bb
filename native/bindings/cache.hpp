// The paged cache as Python made it, and what attention asks of a step. Attention and layers use it.
#pragma once

#include <optional>

#include "bindings/arrays.hpp"
#include "ops/attention.hpp"

using CacheArray = nb::ndarray<nb::ndim<5>, nb::c_contig, nb::device::cpu>;
using ScaleArray = Output<float, 5>;

// All raise ValueError or TypeError.

// The arrays of kv_cache.KVCache, one layer of them.
homerun::CacheLayer cache_layer(const CacheArray& keys, const CacheArray& values,
                                const std::optional<ScaleArray>& scales, const char* dtype,
                                int layer);
void check_rotations(std::size_t rows, const homerun::CacheLayer& cache, const CacheArray& keys,
                     const Input<float, 2>& cosines, const Input<float, 2>& sines,
                     const Input<std::int64_t, 1>& slots);
void check_plan(std::size_t rows, std::size_t heads, const homerun::CacheLayer& cache,
                const CacheArray& keys, const homerun::AttentionPlan& plan);
