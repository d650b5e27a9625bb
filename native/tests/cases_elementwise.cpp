// Norms, gated activations and embeddings at awkward widths.
#include "kernels/kernels.hpp"
#include "tests/agreement.hpp"

namespace homerun::agreement {
namespace {

constexpr int kWidths[] = {1, 3, 15, 16, 17, 33, 64, 100, 257, 1024};

void rms_norm(Record& record) {
  Random random(1);
  for (const int width : kWidths) {
    const std::vector<float> x = random.floats(width), weight = random.floats(width);
    std::vector<float> out(width);
    kernels().elementwise.rms_norm(x.data(), weight.data(), 1e-5f, width, out.data());
    record.floats(out);
  }
}

void gated(Record& record, Activation activation) {
  Random random(2);
  for (const int width : kWidths) {
    std::vector<float> gate_up = random.awkward(2 * width), out(width);
    for (float& x : gate_up)
      if (random.below(2)) x *= 20;
    gate_up[random.below(width)] = random.any();
    kernels().elementwise.gated(gate_up.data(), activation, width, out.data());
    record.floats(out);
  }
}

void embed(Record& record, DType dtype) {
  Random random(3);
  for (const int width : kWidths) {
    for (const float scale : {1.0f, 45.25f}) {
      std::vector<std::uint32_t> row(width);
      for (std::uint32_t& word : row) word = random.bits();
      std::vector<float> out(width);
      kernels().elementwise.embed(row.data(), dtype, scale, width, out.data());
      record.floats(out);
    }
  }
}

}  // namespace

std::vector<Case> elementwise_cases() {
  return {
      {"rms_norm", rms_norm},
      {"gated silu", [](Record& record) { gated(record, Activation::silu); }},
      {"gated gelu", [](Record& record) { gated(record, Activation::gelu_tanh); }},
      {"embed fp32", [](Record& record) { embed(record, DType::fp32); }},
      {"embed fp16", [](Record& record) { embed(record, DType::fp16); }},
      {"embed bf16", [](Record& record) { embed(record, DType::bf16); }},
  };
}

}  // namespace homerun::agreement
