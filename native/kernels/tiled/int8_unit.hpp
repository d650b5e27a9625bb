// Units of eight rows with vpdpbusd: registers hold 16 sums, the weights of 32 channels and four
// numbers of a row.
#pragma once

#include <immintrin.h>

#include "kernels/tiled/scaling.hpp"

namespace homerun::HOMERUN_ISA::tiled {
namespace {

// From so many rows on products want them in tiles; fewer stream weights from memory as fast.
constexpr int kFewestRows = 16;

// sums += four products per lane. Not the intrinsic: with it GCC 12 moves the sums of a large tile
// to memory and back around every instruction.
inline void multiply_add(__m512i& sums, __m512i unsigned_bytes, __m512i signed_bytes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(unsigned_bytes), "v"(signed_bytes));
}

// A unit of chunk.hpp: exact sums, whatever the parts.
struct Int8Unit {
  static constexpr int kRows = 8;
  static constexpr int kNumberBytes = 1;
  static constexpr int kRowLines = 1;
  static constexpr int kAheadAlone = 8192;

  static int part(int) { return 512; }

  // Not inlined: in a large function GCC 12 keeps the sums in memory, a third slower.
  template <int rows = kRows>
  [[gnu::noinline]] static void add(const UnitRows& from, const char* weights, int steps,
                                    bool first, char* sums, Ahead& ahead) {
    if constexpr (rows > 1)
      if (from.rows < rows) return add<rows - 1>(from, weights, steps, first, sums, ahead);
    __m512i tile[rows][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++)
        tile[r][h] = first ? __m512i{} : _mm512_load_si512(sums + r * kSumsStride + 64 * h);
    const char* x = from.first;
    for (int step = 0; step < steps; step++, x += from.step_bytes) {
      ahead.ask();
      for (int k = 0; k < kRowTileBytes; k += 16, weights += 16 * kPanel)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          const __m512i left = _mm512_loadu_si512(weights + i * 128);
          const __m512i right = _mm512_loadu_si512(weights + i * 128 + 64);
#pragma GCC unroll 8
          for (int r = 0; r < rows; r++) {
            std::int32_t four;
            __builtin_memcpy(&four, x + r * kRowTileBytes + k + 4 * i, 4);
            const __m512i bytes = _mm512_set1_epi32(four);
            multiply_add(tile[r][0], left, bytes);
            multiply_add(tile[r][1], right, bytes);
          }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
      for (int h = 0; h < 2; h++)
        _mm512_store_si512(sums + r * kSumsStride + 64 * h, tile[r][h]);
  }
};

}  // namespace
}  // namespace homerun::HOMERUN_ISA::tiled
