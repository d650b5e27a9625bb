// The loops around units of some rows times one panel: what stays in which cache. K is counted in
// bytes of a row of weights, of which a step takes kRowTileBytes.
//
//   chunk of rows
//     group of panels
//       span of K                the chunk's span and the group's sums stay in the L2 cache
//         panel
//           part of K            the panel's part stays in the L1 cache
//             unit of rows       its sums stay in registers
//
// Sums are kept exactly between parts of K, so no cut changes a result.
//
// A Unit has
//   kRows                        most rows of a unit; a multiple or a divisor of 16
//   kNumberBytes                 of a weight
//   kRowLines                    lines of kRowTileBytes that a packed row has for a step
//   part(rows)                   bytes of K of a part, in a chunk of so many rows
//   kAheadAlone                  a unit that is alone with its panel reads from memory as fast as it
//                                computes: it asks so many bytes ahead, into the panels that follow
//   add(UnitRows, weights, steps, first, sums, Ahead&)
//                                sums [rows][32] = (or +=, unless `first`) rows · weights, over
//                                `steps` steps of K; the same weights unit after unit
#pragma once

#include <immintrin.h>

#include "kernels/linear.hpp"
#include "kernels/tiled/additions.hpp"

namespace homerun::HOMERUN_ISA::tiled {
namespace {

// A step of 256 rows, and the decoding rows that ride along.
constexpr int kChunkRows = 288;
constexpr int kSpanBytes = 1 << 18;           // of a chunk
constexpr int kSumsStride = kPanel * 4;       // from one row of sums to the next
constexpr int kPanelSums = kChunkRows * kSumsStride;
constexpr int kCacheLine = 64;
// What to have in the L2 cache soon (or the L1 cache: locality 3), so many lines per step. Only
// addresses.
struct Ahead {
  const char* next;
  int lines;

  void ask() { ask(lines); }
  template <int locality = 2>
  void ask(int count) {
    for (int line = 0; line < count; line++, next += kCacheLine)
      __builtin_prefetch(next, 0, locality);
  }
};

// The rows of a unit, over a part of K.
struct UnitRows {
  const char* first;        // of the first row; in the same tile the others follow, line by line
  std::size_t tile_stride;  // from a row to the row 16 further on
  int step_bytes;           // from one step of K to the next
  int rows;
};

// The 32 sums of some rows with one panel, over one group of K: [row][32].
struct UnitSums {
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
  const float* additions;  // [panel][32], or null
};

// Calls finish.write for `rows` rows from `row` on, with what adapters add to them.
// sums: of the first row and panel; the other rows follow at kSumsStride.
template <class Finish>
void write_rows(const Finish& finish, Additions& additions, int row, int rows, int panel_begin,
                int panel_end, const char* sums) {
  for (int i = 0; i < rows;) {
    const int made = additions.make(row + i, row + rows, panel_begin, panel_end);
    for (int a = 0; a < made; a++, i++)
      finish.write({row + i, i, panel_begin, panel_end, sums + i * kSumsStride, additions.of(a)});
  }
}

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

// Calls finish.begin_chunk(row, rows) at first, and finish.part_done(panel, panel_of_group, begin,
// end) while these numbers of K of the panel are in the L1 cache;
// finish.group_done(UnitSums) for each unit of rows, panel and group of K but the last;
// then finish.write(RowSums) for each row and group of panels: a long piece of a row at a time,
// because rows of a result often compete for a few sets of the caches.
template <class Unit, class Finish>
class ChunkProduct {
 public:
  // rows [row, row + rows): at most kChunkRows, from a multiple of 16. `group`: k, or 0 = all.
  ChunkProduct(const Product& product, int row, int rows, int group, const Finish& finish)
      : product_(product), finish_(finish), row_(row), rows_(rows),
        units_(parts_of(rows, Unit::kRows)), additions_(product.additions) {
    const LinearWeight& weight = *product.weight;
    const int length = weight.padded_k * Unit::kNumberBytes;
    panel_size_ = std::size_t{kPanel} * length;
    group *= Unit::kNumberBytes;
    cuts_ = {length, group ? smaller(group, length) : length, Unit::part(rows)};
    span_ = parts_of(length,
                     parts_of(length, smaller(length, kSpanBytes / Unit::kRowLines / rows)));
    finish.begin_chunk(row, rows);
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
    write_rows(finish_, additions_, row_, rows_, panel_begin, panel_end, sums_);
  }

  // `next`: the weights that are read after this part; the units share the work of asking for them.
  void run_part(int panel, int panel_of_group, int begin, int end, const char* next) {
    constexpr int kStepLines = kRowTileBytes * kPanel / kCacheLine;
    Ahead ahead{next, parts_of(kStepLines, units_)};
    if (units_ == 1) ahead.next = weights(panel, begin) + Unit::kAheadAlone;
    const PackedRows& x = product_.rows;
    for (int unit = 0; unit < units_; unit++) {
      const int row = unit * Unit::kRows, rows = smaller(Unit::kRows, rows_ - row);
      const char* first = static_cast<const char*>(x.data) + (row_ + row) / kRowTile * x.stride +
                          row % kRowTile * kRowTileBytes;
      char* sums = sums_ + panel_of_group * kPanelSums + row * kSumsStride;
      for (int k = begin; k < end;) {
        const int group_end = cuts_.end_of_group(k), stop = smaller(end, group_end);
        const int row_bytes = Unit::kRowLines * x.tile_rows;  // per byte of K
        const UnitRows unit_rows{first + static_cast<std::size_t>(k) * row_bytes, x.stride,
                                 kRowTileBytes * row_bytes, rows};
        unit_.add(unit_rows, weights(panel, k), (stop - k) / kRowTileBytes, k % cuts_.group == 0,
                  sums, ahead);
        if (stop == group_end && stop < cuts_.length)
          finish_.group_done({row_ + row, rows, row, panel, panel_of_group, k / cuts_.group, sums});
        k = stop;
      }
    }
    finish_.part_done(panel, panel_of_group, begin / Unit::kNumberBytes, end / Unit::kNumberBytes);
  }

  const char* weights(int panel, int k) const {
    return static_cast<const char*>(product_.weight->panels) + panel * panel_size_ +
           static_cast<std::size_t>(k) * kPanel;
  }

  const Product& product_;
  const Finish& finish_;
  const int row_, rows_, units_;
  std::size_t panel_size_;
  Cuts cuts_;
  int span_;
  Additions additions_;
  Unit unit_;
  alignas(64) char sums_[kGroupPanels * kPanelSums];
};

// All rows of the product from row_begin on, a multiple of 16. `group`: k, or 0 = all.
// `finish` as above.
template <class Unit, class Finish>
void multiply_chunks(const Product& product, int row_begin, int row_end, int panel_begin,
                     int panel_end, int group, const Finish& finish) {
  for (int row = row_begin; row < row_end; row += kChunkRows) {
    const int rows = smaller(kChunkRows, row_end - row);
    ChunkProduct<Unit, Finish>(product, row, rows, group, finish).run(panel_begin, panel_end);
  }
  if (product.past_caches) _mm_sfence();  // before anybody is told of the results
}

}  // namespace
}  // namespace homerun::HOMERUN_ISA::tiled
