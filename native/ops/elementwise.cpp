#include "ops/elementwise.hpp"

#include <algorithm>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "ops/clock.hpp"
#include "ops/linear.hpp"
#include "plain_floats.hpp"
#include "thread_pool.hpp"

namespace homerun {
namespace {

// Below so many numbers waking the other threads takes longer than the work.
constexpr std::int64_t kWorthSharing = 1 << 16;

// Calls body(row) for all rows, over the threads if there is enough to do.
template <class Body>
void for_rows(std::int64_t rows, int width, Body&& body) {
  if (rows * width < kWorthSharing) {
    for (std::int64_t row = 0; row < rows; row++) body(row);
    return;
  }
  const std::int64_t part = std::max<std::int64_t>(1, kWorthSharing / 4 / width);
  pool().run((rows + part - 1) / part, [&](std::int64_t index, int) {
    const std::int64_t end = std::min(rows, (index + 1) * part);
    for (std::int64_t row = index * part; row < end; row++) body(row);
  });
}

}  // namespace

bool embed(const Table& table, const std::int32_t* ids, std::int64_t count, float scale,
           float* out) {
  const bool valid = std::all_of(ids, ids + count,
                                 [&](std::int32_t id) { return id >= 0 && id < table.rows; });
  if (!valid) return false;
  const Timed timed(Work::other);
  const PlainFloats plain;
  const auto* bytes = static_cast<const char*>(table.data);
  const std::size_t stride = bytes_of(table.dtype) * static_cast<std::size_t>(table.width);
  const auto kernel = kernels().elementwise.embed;
  for_rows(count, table.width, [&](std::int64_t i) {
    kernel(bytes + static_cast<std::size_t>(ids[i]) * stride, table.dtype, scale, table.width,
           out + i * table.width);
  });
  return true;
}

void rms_norm(const float* x, const float* weight, float eps, std::int64_t rows, int width,
              float* out) {
  const Timed timed(Work::other);
  const PlainFloats plain;
  const auto kernel = kernels().elementwise.rms_norm;
  for_rows(rows, width,
           [&](std::int64_t i) { kernel(x + i * width, weight, eps, width, out + i * width); });
}

void gated(const float* gate_up, Activation activation, std::int64_t rows, int width, float* out) {
  const Timed timed(Work::other);
  const PlainFloats plain;
  const auto kernel = kernels().elementwise.gated;
  for_rows(rows, width, [&](std::int64_t i) {
    kernel(gate_up + 2 * i * width, activation, width, out + i * width);
  });
}

}  // namespace homerun
