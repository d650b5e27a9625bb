// The eight tiles as the products of this directory use them: each has rows of 64 bytes.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace homerun::amx {

constexpr int kTile = 16;         // rows, and channels, of a tile of sums
constexpr int kTileRowBytes = 64;

// Sums of the upper 16 rows (0, 1: left, right channels), of the lower (2, 3); rows (4 upper, 5
// lower); weights (6 left, 7 right).
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// The tiles are set up for `upper` and `lower` rows (each 1 to 16; lower may be 0).
class Tiles {
 public:
  Tiles() = default;
  Tiles(const Tiles&) = delete;
  ~Tiles() { _tile_release(); }

  void shape(int upper, int lower) {
    if (upper == upper_ && lower == lower_) return;
    upper_ = upper;
    lower_ = lower;
    TileShapes shapes;
    const int rows[8] = {upper, upper, lower, lower, upper, lower, kTile, kTile};
    for (int i = 0; i < 8; i++) {
      shapes.rows[i] = static_cast<std::uint8_t>(rows[i]);
      shapes.row_bytes[i] = rows[i] ? kTileRowBytes : 0;
    }
    _tile_loadconfig(&shapes);
  }

 private:
  int upper_ = 0, lower_ = 0;
};

}  // namespace homerun::amx
