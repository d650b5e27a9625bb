// Operations on rows of a batch, one row at a time. Products do their norms and activations on the
// way (ops/linear.hpp); `rms_norm` and `gated` here are the same kernels on their own.
#pragma once

#include <cstdint>

#include "kernels/elementwise.hpp"

namespace homerun {

// A table of `rows` rows of `width` numbers: fp32, fp16 or bf16.
struct Table {
  const void* data;
  DType dtype;
  std::int64_t rows;
  int width;
};

// out[i] = row ids[i] of the table as float32, times `scale` (see ElementwiseKernels::embed).
// False, and nothing done, if an id is not in [0, rows).
bool embed(const Table& table, const std::int32_t* ids, std::int64_t count, float scale,
           float* out);

// x, out: [rows][width].
void rms_norm(const float* x, const float* weight, float eps, std::int64_t rows, int width,
              float* out);

// gate_up: [rows][2 width], out: [rows][width].
void gated(const float* gate_up, Activation activation, std::int64_t rows, int width, float* out);

}  // namespace homerun
