// Memory that operations keep between calls.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace homerun {

constexpr std::size_t kLine = 64;  // bytes of a cache line

constexpr std::size_t round_up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

// Floats that fill whole cache lines, so that threads do not share one.
constexpr std::size_t whole_lines(std::size_t floats) {
  return round_up(floats, kLine / sizeof(float));
}

// Grows when a call needs more; its contents do not survive. Aligned to cache lines.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(memory_); }

  void* get(std::size_t bytes) {
    if (bytes > size_) grow(bytes);
    return memory_;
  }

 private:
  void grow(std::size_t bytes) {
    constexpr std::size_t kHugePage = std::size_t{2} << 20;
    const bool large = bytes >= kHugePage / 4;
    const std::size_t alignment = large ? kHugePage : kLine;
    std::free(memory_);
    size_ = 0;
    bytes = round_up(bytes + bytes / 4, alignment);
    memory_ = std::aligned_alloc(alignment, bytes);
    if (!memory_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (large) madvise(memory_, bytes, MADV_HUGEPAGE);  // fewer misses of the TLB; a wish only
#endif
    size_ = bytes;
  }

  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace homerun
