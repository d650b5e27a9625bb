// Attention over a paged cache of every dtype, and what is written into the cache.
#include <algorithm>
#include <numeric>
#include <string>

#include "ops/attention.hpp"
#include "tests/agreement.hpp"

namespace homerun::agreement {
namespace {

struct Heads {
  int heads, kv_heads, head_dim;
};
constexpr Heads kHeads[] = {{4, 4, 64}, {8, 2, 32}, {3, 1, 96}, {2, 1, 256}, {2, 1, 34}};

struct Segment {
  int start, rows;
};
constexpr Segment kBatch[] = {{0, 1}, {0, 19}, {15, 1}, {16, 3}, {255, 1}, {250, 20}, {700, 1}};

// A cache with a sequence per segment, filled by rotate_and_store, then read by attention.
void filled_and_read(Record& record, DType dtype, const Heads& h) {
  Random random(static_cast<int>(dtype) * 1000 + h.head_dim);
  AttentionPlan plan;
  int blocks = 0;
  for (const Segment& s : kBatch) {
    plan.segments.push_back({plan.rows, s.rows, s.start, std::size_t(blocks)});
    plan.rows += s.rows;
    blocks += (s.start + s.rows + kBlock - 1) / kBlock;
  }
  plan.tables.resize(blocks);
  std::iota(plan.tables.begin(), plan.tables.end(), 0);
  for (int i = blocks - 1; i > 0; i--) std::swap(plan.tables[i], plan.tables[random.below(i + 1)]);
  plan.max_block = blocks - 1;

  const std::size_t size = dtype == DType::fp32 ? 4 : dtype == DType::int8 ? 1 : 2;
  const std::size_t bytes = size * blocks * kBlock * h.kv_heads * h.head_dim;
  std::vector<std::uint8_t> keys(bytes), values(bytes);
  std::vector<float> scales(std::size_t(blocks) * h.kv_heads * 2 * kBlock);
  const CacheLayer cache{dtype,      keys.data(), values.data(),
                         h.kv_heads, h.head_dim,  scales.data()};

  // Every position of every sequence is a row.
  std::vector<std::int64_t> slots;
  for (std::size_t s = 0; s < plan.segments.size(); s++) {
    for (int position = 0; position < kBatch[s].start + kBatch[s].rows; position++) {
      const int block = plan.tables[plan.segments[s].blocks + position / kBlock];
      slots.push_back(std::int64_t{block} * kBlock + position % kBlock);
    }
  }
  const int rows = static_cast<int>(slots.size());
  const std::size_t width = std::size_t(h.heads) * h.head_dim;
  const std::vector<float> qkv =
      random.floats(std::size_t(rows) * (h.heads + 2 * h.kv_heads) * h.head_dim);
  const std::vector<float> cosines = random.floats(std::size_t(rows) * h.head_dim / 2);
  const std::vector<float> sines = random.floats(std::size_t(rows) * h.head_dim / 2);
  std::vector<float> rotated(rows * width);
  rotate_and_store(cache, h.heads, rows, qkv.data(), cosines.data(), sines.data(), slots.data(),
                   rotated.data());
  record.floats(rotated);
  record.exactly(keys.data(), bytes);
  record.exactly(values.data(), bytes);
  record.floats(scales);

  std::vector<float> queries(plan.rows * width), out(plan.rows * width);
  for (float& x : queries) x = 8 * random.ordinary();
  attention(cache, h.heads, plan, queries.data(), out.data());
  record.floats(out);
}

bool in_parts(DType dtype, const Heads& h) {
  return h.head_dim > AttentionKernels::kNarrow && (dtype == DType::fp32 || dtype == DType::fp16);
}

}  // namespace

std::vector<Case> attention_cases() {
  constexpr const char* kDTypes[] = {"fp32", "fp16", "bf16", "int8"};
  std::vector<Case> cases;
  for (int dtype = 0; dtype < 4; dtype++)
    for (const Heads& heads : kHeads)
      cases.push_back({std::string("attention ") + kDTypes[dtype] + " " +
                           std::to_string(heads.heads) + "/" + std::to_string(heads.kv_heads) +
                           "x" + std::to_string(heads.head_dim),
                       [=](Record& record) {
                         filled_and_read(record, static_cast<DType>(dtype), heads);
                       },
                       in_parts(static_cast<DType>(dtype), heads) ? 1e-4f : 0.0f, true});
  return cases;
}

}  // namespace homerun::agreement
