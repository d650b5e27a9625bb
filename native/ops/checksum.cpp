#include "ops/checksum.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "thread_pool.hpp"

// Plain integers: any instruction set gives the same sums, so the loader may pick at run time.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define HOMERUN_WIDE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HOMERUN_WIDE_CLONES
#endif

namespace homerun {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::uint32_t kLine = 16;     // words of a cache line
constexpr std::size_t kAhead = 2048;    // bytes
constexpr std::uint32_t kStep = 2 * 0x4F1BBCDDu;

std::uint32_t word_at(const unsigned char* data) {
  std::uint32_t word;
  std::memcpy(&word, data, sizeof word);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
  return word;
}

// Sum of the words of one chunk, each times its multiplier.
HOMERUN_WIDE_CLONES
std::uint64_t chunk_sum(const unsigned char* data, std::size_t size) {
  const std::uint32_t words = static_cast<std::uint32_t>(size / 4);
  std::uint64_t sum = 0;
  std::uint32_t i = 0;
  for (; i + kLine <= words; i += kLine) {
    // Further ahead than the CPU's own prefetchers look: half as long again without it.
    __builtin_prefetch(data + 4 * std::size_t{i} + kAhead);
    for (std::uint32_t j = i; j < i + kLine; j++) {
      sum += std::uint64_t{word_at(data + 4 * std::size_t{j})} * (1 + j * kStep);
    }
  }
  for (; i < words; i++) {
    sum += std::uint64_t{word_at(data + 4 * std::size_t{i})} * (1 + i * kStep);
  }
  if (size % 4) {
    unsigned char last[4] = {};
    std::memcpy(last, data + 4 * std::size_t{words}, size % 4);
    sum += std::uint64_t{word_at(last)} * (1 + words * kStep);
  }
  return sum;
}

// One to one, and every bit of the result depends on every bit of `x` (splitmix64).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

std::uint64_t checksum(const unsigned char* data, std::size_t size) {
  const std::size_t chunks = (size + kChunk - 1) / kChunk;
  std::atomic<std::uint64_t> total = 0;
  pool().run(static_cast<std::int64_t>(chunks), [&](std::int64_t index, int) {
    const std::size_t start = static_cast<std::size_t>(index) * kChunk;
    const std::uint64_t sum = chunk_sum(data + start, std::min(kChunk, size - start));
    const std::uint64_t number = static_cast<std::uint64_t>(index) + 1;
    total.fetch_add(mix(sum + number * 0x9E3779B97F4A7C15u), std::memory_order_relaxed);
  });
  return total;
}

}  // namespace homerun
