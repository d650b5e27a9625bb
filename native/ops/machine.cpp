// Probes of memory and arithmetic, see machine.hpp.
#include "ops/machine.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "cpu_features.hpp"
#include "ops/peak_loops.hpp"
#include "thread_pool.hpp"

namespace homerun {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// Registers of a size. (GCC 12 takes sizeof a vector whose size is a template parameter for that
// of an element: hence types that name theirs.)
struct Bytes16 {
  typedef std::uint64_t Vector __attribute__((vector_size(16), aligned(1), may_alias));
};
struct Bytes32 {
  typedef std::uint64_t Vector __attribute__((vector_size(32), aligned(1), may_alias));
};
struct Bytes64 {
  typedef std::uint64_t Vector __attribute__((vector_size(64), aligned(1), may_alias));
};

// All bytes of a block. The result only keeps the reads.
template <class Register>
[[gnu::always_inline]] inline std::uint64_t read_block(const unsigned char* data, std::size_t size) {
  using Vector = typename Register::Vector;
  constexpr std::size_t kWidth = sizeof(Vector);
  constexpr std::size_t kStep = 4 * kWidth;
  Vector folded[4] = {};
  std::size_t i = 0;
  for (; i + kStep <= size; i += kStep) {
#pragma GCC unroll 4
    for (std::size_t j = 0; j < 4; j++) {
      folded[j] ^= *reinterpret_cast<const Vector*>(data + i + j * kWidth);
    }
  }
  const Vector all = folded[0] ^ folded[1] ^ folded[2] ^ folded[3];
  std::uint64_t result = 0;
  for (std::size_t j = 0; j < kWidth / sizeof(std::uint64_t); j++) result ^= all[j];
  for (; i < size; i++) result ^= data[i];
  return result;
}

using Reader = std::uint64_t (*)(const unsigned char* data, std::size_t size);

std::uint64_t read_base(const unsigned char* data, std::size_t size) {
  return read_block<Bytes16>(data, size);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::uint64_t read_avx2(const unsigned char* data,
                                                        std::size_t size) {
  return read_block<Bytes32>(data, size);
}
__attribute__((target("avx512f"))) std::uint64_t read_avx512(const unsigned char* data,
                                                             std::size_t size) {
  return read_block<Bytes64>(data, size);
}
#endif

Reader widest_reader() {
#if defined(__x86_64__)
  if (cpu_features().avx512f) return read_avx512;
  if (cpu_features().avx2) return read_avx2;
#endif
  return read_base;
}

}  // namespace

double read_probe(const unsigned char* data, std::size_t size) {
  constexpr std::size_t kBlock = 1 << 20;  // threads take turns, so that they end together
  const Reader read = widest_reader();
  std::atomic<std::uint64_t> sink = 0;
  const auto blocks = static_cast<std::int64_t>((size + kBlock - 1) / kBlock);
  const auto began = Clock::now();
  pool().run(blocks, [&](std::int64_t index, int) {
    const std::size_t first = static_cast<std::size_t>(index) * kBlock;
    sink.fetch_xor(read(data + first, std::min(kBlock, size - first)), std::memory_order_relaxed);
  });
  return seconds_since(began);
}

double peak_gmacs(std::string_view kind) {
  constexpr double kPieceSeconds = 250e-6;
  constexpr int kPieces = 256;  // of each thread: 64 ms
  constexpr int kRuns = 5;
  const PeakLoop loop = peak_loop(kind);

  std::int64_t iterations = 1000;
  for (;; iterations *= 2) {
    const auto began = Clock::now();
    loop.run(iterations);
    if (seconds_since(began) > kPieceSeconds) break;
  }
  const std::int64_t pieces = std::int64_t{kPieces} * pool().threads();
  double best = 0;
  for (int i = 0; i < kRuns; i++) {
    const auto began = Clock::now();
    pool().run(pieces, [&](std::int64_t, int) { loop.run(iterations); });
    const double macs = static_cast<double>(pieces) * static_cast<double>(iterations) * loop.macs;
    best = std::max(best, macs / seconds_since(began) * 1e-9);
  }
  return best;
}

}  // namespace homerun
