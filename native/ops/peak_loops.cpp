// See peak_loops.hpp. Every loop keeps kChains sums going, more than an instruction's latency
// needs. Assembly pins the instruction, and compilers cannot see that nobody wants the sums.
#include "ops/peak_loops.hpp"

#include <stdexcept>
#include <string>

#include "cpu_features.hpp"
#include "kernels/kernels.hpp"

#if defined(__x86_64__) || defined(_M_X64)
#define HOMERUN_X86 1
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace homerun {
namespace {

constexpr int kChains = 12;

// Plain C++. The operands are "changed" in every iteration, or their product would be taken once.
template <class Operand, class Sum>
void plain(std::int64_t iterations) {
  struct Operands {
    Operand a[2 * kChains], b[2 * kChains];
  } operands = {};
  Sum sums[2 * kChains] = {};
  for (std::int64_t i = 0; i < iterations; i++) {
    __asm__ volatile("" : "+m"(operands));
    for (int j = 0; j < 2 * kChains; j++) {
      sums[j] += static_cast<Sum>(operands.a[j]) * static_cast<Sum>(operands.b[j]);
    }
  }
  __asm__ volatile("" : "+m"(sums));
}

#ifdef HOMERUN_X86

#define HOMERUN_TARGET(sets) __attribute__((target(sets)))

HOMERUN_TARGET("avx512f,avx512vnni") void vpdpbusd_zmm(std::int64_t iterations) {
  const __m512i x = _mm512_set1_epi8(3);
  __m512i sums[kChains] = {};
  for (std::int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; j++) {
      __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(sums[j]) : "v"(x));
    }
  }
}

HOMERUN_TARGET("avx512f,avx512bf16") void vdpbf16ps_zmm(std::int64_t iterations) {
  const __m512i x = _mm512_set1_epi16(0x3f80);  // 1 in bfloat16
  __m512 sums[kChains] = {};
  for (std::int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; j++) {
      __asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"(sums[j]) : "v"(x));
    }
  }
}

HOMERUN_TARGET("avx512f") void fma_zmm(std::int64_t iterations) {
  const __m512 x = _mm512_set1_ps(1.0f);
  __m512 sums[kChains] = {};
  for (std::int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; j++) {
      __asm__ volatile("vfmadd231ps %1, %1, %0" : "+v"(sums[j]) : "v"(x));
    }
  }
}

HOMERUN_TARGET("avx2,fma") void fma_ymm(std::int64_t iterations) {
  const __m256 x = _mm256_set1_ps(1.0f);
  __m256 sums[kChains] = {};
  for (std::int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; j++) {
      __asm__ volatile("vfmadd231ps %1, %1, %0" : "+x"(sums[j]) : "x"(x));
    }
  }
}

// Exact int8 products without VNNI: 16-bit operands, pairs added to 32 bits.
HOMERUN_TARGET("avx2") void vpmaddwd_ymm(std::int64_t iterations) {
  const __m256i x = _mm256_set1_epi16(3);
  __m256i sums[kChains] = {};
  for (std::int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; j++) {
      __m256i pairs;
      __asm__ volatile("vpmaddwd %2, %2, %1\n\tvpaddd %1, %0, %0"
                       : "+x"(sums[j]), "=&x"(pairs)
                       : "x"(x));
    }
  }
}

// Tiles of 16 rows of 64 bytes: 0 to 3 are sums, 4 to 7 operands.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

HOMERUN_TARGET("amx-tile") void begin_tiles() {
  const TileConfig config;
  // Not _tile_loadconfig: GCC 12 believes that it reads eight bytes only.
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
}

HOMERUN_TARGET("amx-tile,amx-int8") void tdpbssd(std::int64_t iterations) {
  begin_tiles();
  for (std::int64_t i = 0; i < iterations; i++) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_release();
}

HOMERUN_TARGET("amx-tile,amx-bf16") void tdpbf16ps(std::int64_t iterations) {
  begin_tiles();
  for (std::int64_t i = 0; i < iterations; i++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

constexpr int kTiles = 4, kTileSide = 16;

PeakLoop machine_loop(std::string_view kind, const CpuFeatures& cpu, std::string_view set) {
  const bool zmm = set == "avx512_vnni" || set == "avx512_bf16" || set == "amx";
  if (kind == "int8" && zmm) return {vpdpbusd_zmm, kChains * 64};
  if (kind == "fp32" && zmm) return {fma_zmm, kChains * 16};
  if (kind == "int8" && set == "avx2") return {vpmaddwd_ymm, kChains * 16};
  if (kind == "fp32" && set == "avx2") return {fma_ymm, kChains * 8};
  if (kind == "bf16" && cpu.avx512_bf16) return {vdpbf16ps_zmm, kChains * 32};
  if (kind == "amx_int8" && cpu.amx_int8) return {tdpbssd, kTiles * kTileSide * kTileSide * 64};
  if (kind == "amx_bf16" && cpu.amx_bf16) return {tdpbf16ps, kTiles * kTileSide * kTileSide * 32};
  return {nullptr, 0};
}

#elif defined(__aarch64__)

void fmla(std::int64_t iterations) {
  const float32x4_t x = vdupq_n_f32(1.0f);
  float32x4_t sums[kChains] = {};
  for (std::int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; j++) {
      __asm__ volatile("fmla %0.4s, %1.4s, %1.4s" : "+w"(sums[j]) : "w"(x));
    }
  }
}

// Exact int8 products of the base architecture: 16-bit products, pairs added to 32 bits.
void smull_sadalp(std::int64_t iterations) {
  const int8x8_t x = vdup_n_s8(3);
  int32x4_t sums[kChains] = {};
  for (std::int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; j++) {
      int16x8_t products;
      __asm__ volatile("smull %1.8h, %2.8b, %2.8b\n\tsadalp %0.4s, %1.8h"
                       : "+w"(sums[j]), "=&w"(products)
                       : "w"(x));
    }
  }
}

PeakLoop machine_loop(std::string_view kind, const CpuFeatures&, std::string_view set) {
  if (kind == "int8" && set == "neon") return {smull_sadalp, kChains * 8};
  if (kind == "fp32" && set == "neon") return {fmla, kChains * 4};
  return {nullptr, 0};
}

#else

PeakLoop machine_loop(std::string_view, const CpuFeatures&, std::string_view) {
  return {nullptr, 0};
}

#endif

}  // namespace

PeakLoop peak_loop(std::string_view kind) {
  const PeakLoop loop = machine_loop(kind, cpu_features(), instruction_set());
  if (loop.run) return loop;
  if (kind == "int8") return {plain<std::int8_t, std::int32_t>, 2 * kChains};
  if (kind == "fp32") return {plain<float, float>, 2 * kChains};
  const bool known = kind == "bf16" || kind == "amx_int8" || kind == "amx_bf16";
  throw std::invalid_argument(known ? "this CPU has no instruction for " + std::string(kind)
                                    : "no peak is called " + std::string(kind));
}

}  // namespace homerun
