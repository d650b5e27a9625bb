#include "ops/layers.hpp"

#include <algorithm>

namespace homerun {

void run_layers(const Layers& layers, const Step& step, float* x, Scratch& memory) {
  const Layer& any = layers.layers.front();
  const std::size_t rows = step.rows;
  const int hidden = any.qkv->k, mixed_width = any.output->k, gate_up_width = any.gate_up->n;
  // What comes before attention is gone when gates and ups are made.
  const std::size_t qkv_size = whole_lines(rows * any.qkv->n);
  const std::size_t mixed_size = whole_lines(rows * mixed_width);
  const std::size_t size = std::max(qkv_size + 2 * mixed_size, whole_lines(rows * gate_up_width));
  float* qkv = static_cast<float*>(memory.get(size * sizeof(float)));
  float *queries = qkv + qkv_size, *mixed = queries + mixed_size, *gate_up = qkv;

  Prologue norm{Prologue::rms_norm}, gated{Prologue::gated};
  norm.eps = layers.eps;
  gated.activation = layers.activation;
  const auto product = [&](const LinearWeight& weight, const Prologue& prologue, const float* from,
                           int width, float* to, bool add, const auto& adapters) {
    linear(weight, prologue, from, width, step.rows, to, weight.n, add, adapters.data(),
           static_cast<int>(adapters.size()));
  };
  for (std::size_t i = 0; i < layers.layers.size(); i++) {
    const Layer& layer = layers.layers[i];
    const auto& [cache, adapters] = step.layers[i];
    norm.norm_weight = layer.input_norm;
    product(*layer.qkv, norm, x, hidden, qkv, false, adapters[0]);
    rotate_and_store(cache, step.heads, step.rows, qkv, step.cosines, step.sines, step.slots,
                     queries);
    attention(cache, step.heads, *step.plan, queries, mixed);
    product(*layer.output, Prologue{}, mixed, mixed_width, x, true, adapters[1]);
    norm.norm_weight = layer.post_attention_norm;
    product(*layer.gate_up, norm, x, hidden, gate_up, false, adapters[2]);
    product(*layer.down, gated, gate_up, gate_up_width, x, true, adapters[3]);
  }
}

}  // namespace homerun
