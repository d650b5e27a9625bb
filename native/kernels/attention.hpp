// Attention over the paged cache: the types that kernels/, ops/ and bindings/ share.
#pragma once

#include <cstdint>

#include "kernels/linear.hpp"

namespace homerun {

// Positions of a KV block, and of a tile of the online softmax.
constexpr int kBlock = 16;
constexpr int kTile = 256;

// One layer of the cache. Keys lie with the positions side by side, values with the features:
//   keys    [block][kv_head][head_dim][16]      values  [block][kv_head][16][head_dim]
struct CacheLayer {
  DType dtype;  // fp32, fp16 or bf16
  void* keys;
  void* values;
  int kv_heads;
  int head_dim;
};

struct AttentionKernels {
  // To be defined by the attention kernels.
};

}  // namespace homerun
