// Low-rank additions to products (LoRA): the types that kernels/, ops/ and bindings/ share.
//
//   out[row] += B · (scaling · (A · x[row]))    A [rank, k], B [columns, rank]
//
// The modules whose weights are joined in one matrix (q, k, v) share x: the rows of their A lie one
// after the other, and each B adds to its own columns.
#pragma once

#include <cstddef>

#include "kernels/linear.hpp"

namespace homerun {

// Rows of A whose numbers lie together.
constexpr int kRankGroup = 4;
// Rows that a kernel takes at most.
constexpr int kMostLoraRows = 288;
// Numbers of a row of A that lie together; k is padded with zeros to a multiple of this.
constexpr int kRankStep = 16;

// B of one module: [column / 32][rank][32], padded with zeros to whole panels of columns.
struct LoraPart {
  const void* b;
  int first_rank, ranks;      // its rows of A, and so of t
  int first_column, columns;  // where it adds to the product
};

// What one adapter adds to one product.
struct LoraPlace {
  DType dtype;            // fp32, fp16 or bf16
  int k, ranks;           // of A: the ranks of all parts
  const void* a;          // [rank / 4][k / 16][4][16]; the last group has the rows that are left
  const float* scalings;  // of each row of A
  const LoraPart* parts;
  int part_count;         // 0: nothing is added
};

// What an adapter adds to a row of a product: as LoraKernels::expand says.
struct LoraRow {
  const LoraPlace* place;  // null: nothing
  const float* t;          // [place->ranks]
};

// Both take at most kMostLoraRows rows, and are indexed by the dtype of the factors.
struct LoraKernels {
  // t[row][r] = (Σ_k a[r][k] · x[row][k]) · scalings[r] for r in [rank_begin, rank_end), each a
  // multiple of 4 or all of them. Lane k mod 16 is a chain of fused multiply-adds in order of k; the
  // lanes are added by the tree of lanes.hpp.
  void (*shrink[3])(const LoraPlace& place, int rank_begin, int rank_end, const float* const* x,
                    int rows, float* const* t);
  // out[row][c] += Σ_r t[row][first_rank + r] · b[c][r] for the columns c in [begin, end) of the
  // product that are the part's: a chain of fused multiply-adds from 0 in order of r, then one
  // addition.
  void (*expand[3])(const LoraPart& part, int begin, int end, const float* const* t, int rows,
                    float* const* out);
};

}  // namespace homerun
