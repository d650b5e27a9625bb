// What the adapters of a batch add to one product: which rows, and how the work is shared out.
// Knows rows and threads; the arithmetic is in kernels/, and no cut made here changes a result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/lora.hpp"

namespace homerun {

// The rows of a batch that use one adapter at one place.
struct LoraSegment {
  const LoraPlace* place;
  const std::int32_t* rows;  // ascending; no row is in two segments
  int count;
};

// The additions of the adapters to rows [first_row, first_row + rows) of one product. Between its
// making and its end the turn on the pool is the caller's.
class LoraProduct {
 public:
  LoraProduct(const LoraSegment* segments, int count, int first_row, int rows);

  bool empty() const { return segments_.empty(); }
  // Whether any adapter wants this row (counted from first_row).
  bool wants(int row) const { return wanted_[row]; }
  // Computes t of all rows on all threads; x[row] (counted from first_row) are the rows of the
  // product's input, before anything was rounded.
  void shrink(const float* x, std::size_t stride);
  // What is added to each row, if a product had better add it as it writes its results; else null.
  // `n`: its columns.
  const LoraRow* by_row(int n);
  // Adds to columns [begin, end) of rows [row_begin, row_end); one thread's work.
  void expand(int row_begin, int row_end, int begin, int end, float* out,
              std::size_t stride) const;

 private:
  struct Segment {
    const LoraPlace* place;
    const std::int32_t* rows;
    int count;
    std::size_t t;  // where its rows of t begin, `place->ranks` floats each
  };

  int first_row_;
  std::vector<Segment> segments_;
  std::vector<char> wanted_;
  std::vector<LoraRow> by_row_;
  float* t_ = nullptr;
};

}  // namespace homerun
