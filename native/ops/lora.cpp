#include "ops/lora.hpp"

#include <algorithm>
#include <iterator>

#include "kernels/kernels.hpp"
#include "ops/scratch.hpp"
#include "thread_pool.hpp"

namespace homerun {
namespace {

constexpr int kShrinkRows = 48;  // of a call: most of them then stay in the L2 cache

// A · x of the rows. For who has the turn.
Scratch& workspace() {
  // Never destroyed: a thread may still compute while the process ends.
  static Scratch& one = *new Scratch;
  return one;
}

// Rows [begin, begin + rows) of a segment times ranks [rank_begin, rank_end) of its A.
struct Piece {
  int segment, begin, rows, rank_begin, rank_end;
};

}  // namespace

LoraProduct::LoraProduct(const LoraSegment* segments, int count, int first_row, int rows)
    : first_row_(first_row), wanted_(rows) {
  std::size_t size = 0;
  for (int i = 0; i < count; i++) {
    const LoraSegment& all = segments[i];
    if (all.place->part_count == 0) continue;
    const std::int32_t* end = all.rows + all.count;
    const std::int32_t* first = std::lower_bound(all.rows, end, first_row);
    const std::int32_t* last = std::lower_bound(first, end, first_row + rows);
    if (first == last) continue;
    segments_.push_back({all.place, first, static_cast<int>(last - first), size});
    size += std::size_t(last - first) * all.place->ranks;
    for (const std::int32_t* row = first; row < last; row++) wanted_[*row - first_row] = 1;
  }
  t_ = static_cast<float*>(workspace().get(size * sizeof(float)));
}

void LoraProduct::shrink(const float* x, std::size_t stride) {
  const LoraKernels& lora = kernels().lora;
  const int threads = pool().threads();
  // Products of a piece, so that it takes longer than handing it out; and of all, below which the
  // threads would wait for each other longer than they compute.
  constexpr std::int64_t kPiece = 16 << 10, kAlone = 32 << 10;
  std::vector<Piece> pieces;
  std::int64_t products = 0;
  for (int s = 0; s < static_cast<int>(segments_.size()); s++) {
    const Segment& segment = segments_[s];
    const int ranks = segment.place->ranks, k = segment.place->k;
    const int blocks = parts_of(segment.count, kShrinkRows);
    products += std::int64_t{segment.count} * ranks * k;
    // Blocks of many rows take all ranks, and read a row while it is in a cache; if there are too
    // few of them for the threads, their ranks are shared out.
    const bool whole = blocks >= 2 * threads;
    int begin = 0;
    for (int b = 0; b < blocks; b++) {
      const int rows = parts_of(segment.count - begin, blocks - b);
      const auto fewest = static_cast<int>(kPiece / (std::int64_t{rows} * k)) + 1;
      const int step = whole ? ranks : parts_of(fewest, kRankGroup) * kRankGroup;
      for (int r = 0; r < ranks; r += step)
        pieces.push_back({s, begin, rows, r, std::min(ranks, r + step)});
      begin += rows;
    }
  }
  const auto compute = [&](std::int64_t index, int) {
    const Piece& piece = pieces[index];
    const Segment& segment = segments_[piece.segment];
    const LoraPlace& place = *segment.place;
    const float* inputs[kShrinkRows];
    float* t[kShrinkRows];
    for (int i = 0; i < piece.rows; i++) {
      const int row = piece.begin + i;
      inputs[i] = x + (segment.rows[row] - first_row_) * stride;
      t[i] = t_ + segment.t + std::size_t(row) * place.ranks;
    }
    lora.shrink[static_cast<int>(place.dtype)](place, piece.rank_begin, piece.rank_end, inputs,
                                               piece.rows, t);
  };
  const auto count = static_cast<std::int64_t>(pieces.size());
  if (products >= kAlone) return pool().run(count, compute);
  for (std::int64_t i = 0; i < count; i++) compute(i, 0);
}

const LoraRow* LoraProduct::by_row(int n) {
  // With fewer rows for each adapter its factors are better read in long stretches.
  constexpr std::size_t kFewestRows = 4;
  std::size_t rows = 0;
  for (const Segment& segment : segments_) {
    rows += segment.count;
    for (int p = 0; p < segment.place->part_count; p++) {
      const LoraPart& part = segment.place->parts[p];
      const int end = part.first_column + part.columns;
      if (part.first_column % kPanel || (end % kPanel && end != n)) return nullptr;
    }
  }
  if (rows < kFewestRows * segments_.size()) return nullptr;
  by_row_.assign(wanted_.size(), {nullptr, nullptr});
  for (const Segment& segment : segments_)
    for (int i = 0; i < segment.count; i++)
      by_row_[segment.rows[i] - first_row_] = {
          segment.place, t_ + segment.t + std::size_t(i) * segment.place->ranks};
  return by_row_.data();
}

void LoraProduct::expand(int row_begin, int row_end, int begin, int end, float* out,
                         std::size_t stride) const {
  const LoraKernels& lora = kernels().lora;
  for (const Segment& segment : segments_) {
    const LoraPlace& place = *segment.place;
    const std::int32_t* last = segment.rows + segment.count;
    const std::int32_t* row = std::lower_bound(segment.rows, last, first_row_ + row_begin);
    last = std::lower_bound(row, last, first_row_ + row_end);
    while (row < last) {
      const int rows = std::min(kMostLoraRows, static_cast<int>(last - row));
      const float* t[kMostLoraRows];
      float* results[kMostLoraRows];
      for (int i = 0; i < rows; i++, row++) {
        t[i] = t_ + segment.t + std::size_t(row - segment.rows) * place.ranks;
        results[i] = out + (*row - first_row_) * stride;
      }
      for (int p = 0; p < place.part_count; p++) {
        const LoraPart& part = place.parts[p];
        if (part.first_column >= end || part.first_column + part.columns <= begin) continue;
        lora.expand[static_cast<int>(place.dtype)](part, begin, end, t, rows, results);
      }
    }
  }
}

}  // namespace homerun
