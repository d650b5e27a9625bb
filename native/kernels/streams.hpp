// What few rows ask of the memory: they read weights as fast as they come, each panel in hand as a
// stream, faster than the processor's own prefetching delivers them.
#pragma once

namespace homerun::HOMERUN_ISA {
namespace {

// The `bytes` that come `ahead` bytes after `at`, for the L1 cache. Only addresses.
inline void expect(const void* at, int bytes, int ahead) {
  constexpr int kCacheLineBytes = 64, kIntoL1 = 3;
  for (int line = 0; line < bytes; line += kCacheLineBytes)
    __builtin_prefetch(static_cast<const char*>(at) + ahead + line, 0, kIntoL1);
}

}  // namespace
}  // namespace homerun::HOMERUN_ISA
