// The eight tile registers as the products of this directory use them, and the one loop that
// multiplies. Every row of a tile has 64 bytes: 64 int8 or 32 bfloat16 numbers of K.
#pragma once

#include <immintrin.h>

#include "kernels/tiled/chunk.hpp"

namespace homerun::amx {

using tiled::Ahead, tiled::kSumsStride, tiled::UnitRows;

constexpr int kTile = kRowTile;       // rows, and channels, of a tile of sums
constexpr int kStep = kRowTileBytes;  // bytes of K of a row that one instruction multiplies
constexpr int kStepWeights = kStep * kPanel;

// Sums of the upper 16 rows (0, 1: left, right channels), of the lower, or of the upper with another
// panel (2, 3); rows (4 upper, 5 lower); weights (6 left, 7 right).
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// The tiles are set up while this lives. `rows`: of the tiles of rows and of sums, 1 to 16.
class Tiles {
 public:
  explicit Tiles(int rows) {
    TileShapes shapes;
    for (int i = 0; i < 8; i++) {
      shapes.rows[i] = static_cast<std::uint8_t>(i < 6 ? rows : kTile);
      shapes.row_bytes[i] = kStep;
    }
    // Not the intrinsic: GCC 12 believes that it reads 8 bytes, and may leave out the others.
    asm volatile("ldtilecfg %0" : : "m"(shapes));
  }
  Tiles(const Tiles&) = delete;
  ~Tiles() { _tile_release(); }
};

// Of a panel: from the numbers of K that an instruction adds up to the next.
constexpr int kWeightsStride = kPanel * 4;

// The tiles of sums as they begin: zero at first, else as they were kept.
// Lower: whether there is a lower tile of rows.
template <bool Lower>
void begin_sums(bool first, const char* sums) {
  const char* lower = sums + kTile * kSumsStride;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (Lower) {
      _tile_zero(2);
      _tile_zero(3);
    }
  } else {
    _tile_loadd(0, sums, kSumsStride);
    _tile_loadd(1, sums + kStep, kSumsStride);
    if constexpr (Lower) {
      _tile_loadd(2, lower, kSumsStride);
      _tile_loadd(3, lower + kStep, kSumsStride);
    }
  }
}

template <bool Lower>
void end_sums(char* sums) {
  char* lower = sums + kTile * kSumsStride;
  _tile_stored(0, sums, kSumsStride);
  _tile_stored(1, sums + kStep, kSumsStride);
  if constexpr (Lower) {
    _tile_stored(2, lower, kSumsStride);
    _tile_stored(3, lower + kStep, kSumsStride);
  }
}

// sums [rows][32] = (or +=, unless `first`) rows · weights over `steps` steps of K.
template <DType dtype, bool Lower>
void add_products(const UnitRows& rows, const char* weights, int steps, bool first, char* sums,
                  Ahead& ahead) {
  const char *upper = rows.first, *lower = rows.first + rows.tile_stride;
  begin_sums<Lower>(first, sums);
  for (int step = 0; step < steps; step++) {
    ahead.ask();
    _tile_loadd(6, weights, kWeightsStride);
    _tile_loadd(4, upper, kStep);
    _tile_loadd(7, weights + kStep, kWeightsStride);
    if constexpr (dtype == DType::int8) {
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(1, 4, 7);
    } else {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (Lower) {
      _tile_loadd(5, lower, kStep);
      if constexpr (dtype == DType::int8) {
        _tile_dpbsud(2, 5, 6);
        _tile_dpbsud(3, 5, 7);
      } else {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    weights += kStepWeights;
    upper += rows.step_bytes;
    lower += rows.step_bytes;
  }
  end_sums<Lower>(sums);
}

// Two tiles of rows, as a unit of chunk.hpp.
template <DType dtype>
struct TilePair {
  static constexpr int kRows = 2 * kTile;
  static constexpr int kNumberBytes = dtype == DType::int8 ? 1 : 2;
  static constexpr int kRowLines = 1;
  static constexpr int kAheadAlone = 8192;

  static int part(int rows) { return rows <= kRows ? 1 << 30 : 512; }

  static void add(const UnitRows& rows, const char* weights, int steps, bool first, char* sums,
                  Ahead& ahead) {
    const auto add = rows.rows > kTile ? add_products<dtype, true> : add_products<dtype, false>;
    add(rows, weights, steps, first, sums, ahead);
  }
};

}  // namespace homerun::amx
