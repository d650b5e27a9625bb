// Operations on single rows: the types that kernels/, ops/ and bindings/ share.
#pragma once

#include <cstdint>

#include "kernels/linear.hpp"

namespace homerun {

enum class Activation : std::uint8_t { silu, gelu_tanh };

struct ElementwiseKernels {
  // x / sqrt(mean(x²) + eps) · weight over `width` numbers.
  void (*rms_norm)(const float* x, const float* weight, float eps, int width, float* out);
  // gate_up: `width` gates, then `width` ups -> activation(gate) · up.
  void (*gated)(const float* gate_up, Activation activation, int width, float* out);
  // One row of a table (fp32, fp16 or bf16) as float32, times `scale` rounded to the table's dtype
  // unless it is 1.
  void (*embed)(const void* row, DType dtype, float scale, int width, float* out);
};

}  // namespace homerun
