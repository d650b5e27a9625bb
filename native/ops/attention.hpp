// Attention of a batch over the paged cache, and what writes the cache, on all threads.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention.hpp"

namespace homerun {

// Consecutive rows of a batch that belong to one sequence.
struct AttentionSegment {
  int first_row, rows;
  int start;            // position of first_row
  std::size_t blocks;   // where its block table begins in AttentionPlan::tables
};

// The segments of a batch; serves every layer.
struct AttentionPlan {
  std::vector<AttentionSegment> segments;
  std::vector<std::int32_t> tables;
  int rows = 0;        // of the batch; every one is in one segment
  int max_block = -1;  // in the tables
};

// queries, out [plan.rows][heads · head_dim]: softmax(q · kᵀ / sqrt(head_dim)) · v over the
// positions up to each row's own. Query head h reads KV head h / (heads / kv_heads).
void attention(const CacheLayer& cache, int heads, const AttentionPlan& plan, const float* queries,
               float* out);

// qkv [rows][(heads + 2 · kv_heads) · head_dim]; cosines, sines [rows][head_dim / 2]. Writes the
// rotated queries [rows][heads · head_dim], and row i's rotated keys and values to slots[i].
void rotate_and_store(const CacheLayer& cache, int heads, int rows, const float* qkv,
                      const float* cosines, const float* sines, const std::int64_t* slots,
                      float* queries);

}  // namespace homerun
