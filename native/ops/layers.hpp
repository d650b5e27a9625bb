// The layers of a decoder one after the other: the operations of a step in one call.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/attention.hpp"
#include "ops/linear.hpp"
#include "ops/scratch.hpp"

namespace homerun {

// Norm weights [hidden]; gate_up: gates, then ups.
struct Layer {
  const float* input_norm;
  const LinearWeight *qkv, *output;
  const float* post_attention_norm;
  const LinearWeight *gate_up, *down;
};

struct Layers {
  std::vector<Layer> layers;
  float eps;
  Activation activation;
};

// What a layer needs of a step besides its weights. Adapters: of qkv, output, gate_up, down.
struct LayerStep {
  CacheLayer cache;
  std::vector<LoraSegment> adapters[4];
};

struct Step {
  int rows, heads;
  const float *cosines, *sines;  // [rows][head_dim / 2]
  const std::int64_t* slots;     // [rows]
  const AttentionPlan* plan;
  std::vector<LayerStep> layers;
};

// x [rows][hidden] through all layers, in place. `memory` is the call's meanwhile.
void run_layers(const Layers& layers, const Step& step, float* x, Scratch& memory);

}  // namespace homerun
