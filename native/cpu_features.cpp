// Detection of instruction sets: CPUID and XGETBV on x86, the target itself on ARM64.
// Bit positions: Intel SDM volume 2A, CPUID; volume 1, 13.3 (XCR0).
#include "cpu_features.hpp"

#include <cstdint>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define HOMERUN_X86 1
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace homerun {
namespace {

#ifdef HOMERUN_X86

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zero where the processor has no such leaf.
Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

// XCR0: which register files the operating system saves. Only legal where OSXSAVE is set.
std::uint64_t enabled_state() {
  std::uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

constexpr bool bit(std::uint64_t word, int position) { return (word >> position) & 1; }

// AMX: the system must save the tiles, and Linux gives each process the right to them on request.
bool may_use_tiles(std::uint64_t state) {
  constexpr std::uint64_t kTileState = 0x60000;
  if ((state & kTileState) != kTileState) return false;
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

CpuFeatures detect() {
  constexpr std::uint64_t kYmmState = 0x06;     // SSE and AVX registers
  constexpr std::uint64_t kZmmState = 0xe0;     // mask registers and both halves of ZMM

  CpuFeatures f;
  const Registers basic = cpuid(1, 0);
  if (!bit(basic.ecx, 27)) return f;  // no OSXSAVE: nothing wider than SSE may be used
  const std::uint64_t state = enabled_state();
  if ((state & kYmmState) != kYmmState || !bit(basic.ecx, 28)) return f;

  const Registers extended = cpuid(7, 0);
  const Registers more = extended.eax >= 1 ? cpuid(7, 1) : Registers{};
  f.fma = bit(basic.ecx, 12);
  f.f16c = bit(basic.ecx, 29);
  f.avx2 = bit(extended.ebx, 5);
  f.avx_vnni = bit(more.eax, 4);
  if ((state & kZmmState) != kZmmState) return f;

  f.avx512f = bit(extended.ebx, 16);
  f.avx512dq = bit(extended.ebx, 17);
  f.avx512bw = bit(extended.ebx, 30);
  f.avx512vl = bit(extended.ebx, 31);
  f.avx512_vnni = bit(extended.ecx, 11);
  f.avx512_bf16 = bit(more.eax, 5);
  f.amx_bf16 = bit(extended.edx, 22) && may_use_tiles(state);
  f.amx_int8 = bit(extended.edx, 25) && may_use_tiles(state);
  return f;
}

#else

CpuFeatures detect() {
  CpuFeatures f;
#if defined(__aarch64__) || defined(_M_ARM64)
  f.neon = true;  // part of the base architecture
#endif
  return f;
}

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace homerun
