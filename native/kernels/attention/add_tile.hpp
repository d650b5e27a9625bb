// One tile added to what the tiles before it contributed, by lanes.
#pragma once

#include "kernels/attention/share.hpp"

namespace homerun::HOMERUN_ISA {

inline std::size_t scratch_of_lanes(const QueryRows& rows) {
  return panel_floats(rows.cache.head_dim) + std::size_t(rows.rows()) * kPositionTile +
         Contribution::floats(rows.rows(), rows.cache.head_dim);
}

template <class Element>
void add_tile_of(const Tile<Element>& tile, TileOrder order, const float* scaled, float* scratch,
                 Contribution so_far) {
  const QueryRows& rows = tile.rows;
  const bool first = order == TileOrder::alone || tile.index == 0;
  const int ended = order == TileOrder::alone ? 0 : first_seeing(rows, tile.index + 1);
  float* panel = scratch;
  float* scores = panel + panel_floats(tile.head_dim);
  const Contribution own =
      Contribution::in(scores + std::size_t(tile.count) * kPositionTile, tile.count);
  if (tile.count - tile.first_row > kMaxRows) {
    share(tile, first, ended, scaled, scores, panel, own, so_far);
  } else {
    const int row = tile.first_row;
    stream(tile, row, tile.count - row, scaled + std::size_t(row) * tile.head_dim, scores,
           first ? so_far : own);
    if (!first) combine(rows, tile.index, so_far, own);
    finish_rows(rows, tile.first_row, ended, so_far);
  }
}

}  // namespace homerun::HOMERUN_ISA
