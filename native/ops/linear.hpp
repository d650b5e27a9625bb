// A product of rows with a packed matrix, with what comes before it done row by row on the way.
#pragma once

#include "kernels/elementwise.hpp"
#include "kernels/linear.hpp"
#include "ops/lora.hpp"

namespace homerun {

// How a row of the product's input is made from a row of x.
struct Prologue {
  enum Kind { none, rms_norm, gated } kind = none;
  const float* norm_weight = nullptr;  // rms_norm: [k]
  float eps = 0;
  Activation activation = Activation::silu;  // gated: x is [rows][2 k]
};

// False if the instruction set in use has no kernels for products with `dtype`.
bool linear_available(DType dtype);

// Bytes of a number of a packed matrix.
constexpr std::size_t bytes_of(DType dtype) {
  return dtype == DType::fp32 ? 4 : dtype == DType::int8 ? 1 : 2;
}

// out[row][n] = (or +=, with `add`) prologue(x[row]) · weightᵀ on all threads of the pool.
// Then what the adapters of `segments` (their rows are < rows) add to it, for which the input is not
// rounded. Strides count floats; x and out do not overlap. One call at a time: a second waits.
void linear(const LinearWeight& weight, const Prologue& prologue, const float* x,
            std::size_t x_stride, int rows, float* out, std::size_t out_stride, bool add,
            const LoraSegment* segments = nullptr, int segment_count = 0);

}  // namespace homerun
