// The loops around the tiles: what stays in which cache. K is counted in bytes of a row.
//
//   chunk of rows
//     group of panels
//       span of K                the chunk's span and the group's sums stay in the L2 cache
//         panel
//           part of K            the panel's part stays in the L1 cache
//             pair of row tiles  2 x 2 tiles of sums
//
// Sums are kept exactly between parts of K, so no cut changes a result.
#pragma once

#include "kernels/amx/tiles.hpp"

namespace homerun::amx {

constexpr int kPairRows = 2 * kTile;
constexpr int kPart = 512;
constexpr int kSpanBytes = 1 << 18;  // of a chunk
// A step of 256 rows, and the decoding rows that ride along.
constexpr int kChunkRows = 288;
constexpr int kGroupPanels = 16;
constexpr int kPanelSums = kChunkRows * kSumsStride;
// A pair that is alone with its panel reads from memory as fast as it computes: it asks so many
// bytes ahead, into the panels that follow.
constexpr int kAhead = 8192;

// The 32 sums of some rows with one panel, over one group of K: [row][32].
struct PairSums {
  int row, rows;       // of the product
  int row_of_chunk;
  int panel;
  int panel_of_group;  // of panels
  int group;           // of K
  const char* sums;
};

// The sums of a row with some panels, over the last group of K.
struct RowSums {
  int row;  // of the product
  int row_of_chunk;
  int panel_begin, panel_end;
  const char* sums;  // of the first panel; the others follow at kPanelSums
};

// Where K is cut: at the ends of groups, and so that a part of a panel fits the L1 cache.
struct Cuts {
  int length;  // of K
  int group;
  int part;

  int end_of_group(int begin) const { return smaller((begin / group + 1) * group, length); }
  // A part is whole groups, or a piece of one.
  int end_of_part(int begin) const {
    const int end = group <= part ? begin + part / group * group
                                  : smaller(end_of_group(begin), begin + part);
    return smaller(end, length);
  }
  int end_of_span(int begin, int span) const {
    int end = begin;
    while (end < length && end - begin < span) end = end_of_part(end);
    return end;
  }
};

// Calls finish.group_done(PairSums) for each pair of row tiles, panel and group of K but the last;
// then finish.write(RowSums) for each row and group of panels: a long piece of a row at a time,
// because rows of a result often compete for a few sets of the caches.
template <DType dtype, class Finish>
class ChunkProduct {
 public:
  // rows [row, row + rows): at most kChunkRows, from a multiple of 16. `group`: bytes.
  ChunkProduct(const Product& product, int row, int rows, int group, const Finish& finish)
      : product_(product), finish_(finish), row_(row), rows_(rows),
        pairs_(parts_of(rows, kPairRows)) {
    const LinearWeight& weight = *product.weight;
    const int length = weight.padded_k * (dtype == DType::int8 ? 1 : 2);
    panel_size_ = std::size_t{kPanel} * length;
    cuts_ = {length, group ? smaller(group, length) : length, pairs_ == 1 ? length : kPart};
    span_ = parts_of(length, parts_of(length, smaller(length, kSpanBytes / rows)));
  }

  void run(int panel_begin, int panel_end) {
    for (int panel = panel_begin; panel < panel_end; panel += kGroupPanels)
      run_group(panel, smaller(panel + kGroupPanels, panel_end));
  }

 private:
  void run_group(int panel_begin, int panel_end) {
    for (int begin = 0; begin < cuts_.length;) {
      const int end = cuts_.end_of_span(begin, span_);
      for (int panel = panel_begin; panel < panel_end; panel++) {
        const char* after = panel + 1 < panel_end ? weights(panel + 1, begin)
                            : end < cuts_.length  ? weights(panel_begin, end)
                                                  : weights(panel_end, 0);
        for (int part = begin; part < end;) {
          const int part_end = cuts_.end_of_part(part);
          const char* next = part_end < end ? weights(panel, part_end) : after;
          run_part(panel, panel - panel_begin, part, part_end, next);
          part = part_end;
        }
      }
      begin = end;
    }
    for (int row = 0; row < rows_; row++)
      finish_.write({row_ + row, row, panel_begin, panel_end, sums_ + row * kSumsStride});
  }

  // `next`: the weights that are read after this part; the pairs share the work of asking for them.
  void run_part(int panel, int panel_of_group, int begin, int end, const char* next) {
    constexpr int kStepLines = kStepWeights / kLine;
    Ahead ahead{next, parts_of(kStepLines, pairs_)};
    if (pairs_ == 1) ahead.next = weights(panel, begin) + kAhead;
    const int tile_rows = product_.rows.tile_rows;
    for (int pair = 0; pair < pairs_; pair++) {
      const int row = pair * kPairRows, rows = smaller(kPairRows, rows_ - row);
      const char* tile = static_cast<const char*>(product_.rows.data) +
                         (row_ + row) / kTile * product_.rows.stride;
      char* sums = sums_ + panel_of_group * kPanelSums + row * kSumsStride;
      for (int k = begin; k < end;) {
        const int group_end = cuts_.end_of_group(k), stop = smaller(end, group_end);
        const char* upper = tile + static_cast<std::size_t>(k) * tile_rows;
        const PairRows x{upper, upper + product_.rows.stride, kStep * tile_rows};
        const auto add = rows > kTile ? add_products<dtype, true> : add_products<dtype, false>;
        add(x, weights(panel, k), (stop - k) / kStep, k % cuts_.group == 0, sums, ahead);
        if (stop == group_end && stop < cuts_.length)
          finish_.group_done({row_ + row, rows, row, panel, panel_of_group, k / cuts_.group, sums});
        k = stop;
      }
    }
  }

  const char* weights(int panel, int k) const {
    return static_cast<const char*>(product_.weight->panels) + panel * panel_size_ +
           static_cast<std::size_t>(k) * kPanel;
  }

  const Product& product_;
  const Finish& finish_;
  const int row_, rows_, pairs_;
  std::size_t panel_size_;
  Cuts cuts_;
  int span_;
  alignas(64) char sums_[kGroupPanels * kPanelSums];
};

// All rows of the product from row_begin on, a multiple of 16. `group`: k, or 0 = all.
// `finish` as above.
template <DType dtype, class Finish>
void multiply_chunks(const Product& product, int row_begin, int row_end, int panel_begin,
                     int panel_end, int group, const Finish& finish) {
  const Tiles tiles(product.rows.tile_rows);
  for (int row = row_begin; row < row_end; row += kChunkRows) {
    const int rows = smaller(kChunkRows, row_end - row);
    ChunkProduct<dtype, Finish>(product, row, rows, group, finish).run(panel_begin, panel_end);
  }
}

}  // namespace homerun::amx
