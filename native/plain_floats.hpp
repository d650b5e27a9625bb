// How this thread rounds. Knows the processor's control register, nothing else.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace homerun {

// While it lives: rounding to nearest with denormal numbers, whatever another library has set on
// this thread. Every operation has one on each thread that computes: its bytes must not depend on
// who calls it, nor on which thread a row happens to be computed.
class PlainFloats {
 public:
#if defined(__x86_64__)
  PlainFloats() : before_(_mm_getcsr()) {
    if ((before_ & kModes) != kPlain) _mm_setcsr((before_ & ~kModes) | kPlain);
  }
  ~PlainFloats() {
    if ((before_ & kModes) != kPlain) _mm_setcsr(before_);
  }

 private:
  // Denormals are zero, exceptions masked, rounding, flush to zero.
  static constexpr unsigned kModes = 0xffc0, kPlain = 0x1f80;
  unsigned before_;
#elif defined(__aarch64__)
  PlainFloats() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
    if (before_) __asm__ volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}));
  }
  ~PlainFloats() {
    if (before_) __asm__ volatile("msr fpcr, %0" : : "r"(before_));
  }

 private:
  std::uint64_t before_;
#else
  PlainFloats() {}
  ~PlainFloats() {}
#endif

 public:
  PlainFloats(const PlainFloats&) = delete;
  PlainFloats& operator=(const PlainFloats&) = delete;
};

}  // namespace homerun
