// Passes over a row of logits that choosing a token needs: the types that kernels/ and ops/ share.
#pragma once

#include <cstdint>

namespace homerun {

// How many logits `weigh` takes at most; its sum is defined on pieces of this length.
constexpr int kWeighed = 512;
// The weight of a score below this is 0: the numbers beyond are near the subnormal ones.
constexpr double kLeastScore = -708;
// An allowed-token mask has one bit per token in words of this many.
constexpr int kMaskBits = 32;

// Order of float32 as integers: -inf has the least key, +inf the greatest; a NaN is beyond both.
// The function is its own inverse (on bits). -0 comes right before +0.
[[gnu::always_inline]] constexpr std::int32_t ordered(std::int32_t bits) {
  return bits ^ ((bits >> 31) & 0x7fffffff);
}
constexpr std::int32_t kLeastKey = ordered(static_cast<std::int32_t>(0xff800000));
constexpr std::int32_t kGreatestKey = 0x7f800000;

struct SamplingKernels {
  // keys[b] = greatest key of logits [b · block, (b + 1) · block), the last block perhaps shorter.
  // Returns the least key of all.
  std::int32_t (*block_keys)(const float* logits, int count, int block, std::int32_t* keys);
  // Indices in [begin, end) whose key is in [low, low + width) -> found, ascending; returns how
  // many. May write one more.
  int (*find)(const float* logits, int begin, int end, std::int32_t low, std::uint32_t width,
              std::int32_t* found);
  // scores[i] = (logits[i] - best) · sharpness and weights[i] = e^scores[i], 0 below kLeastScore;
  // count <= kWeighed, no score positive. Returns the sum of the weights.
  double (*weigh)(const float* logits, int count, double best, double sharpness, double* scores,
                  double* weights);
  // weights[i] = e^scores[i] by the same function.
  void (*exponentials)(const double* scores, int count, double* weights);
  // bins[i] = min(-scores[i] · per_unit, last), rounded down.
  void (*find_bins)(const double* scores, int count, double per_unit, double last,
                    std::int32_t* bins);
  // out = logits where the bit of `mask` is set, else -inf.
  void (*allow)(const float* logits, const std::uint32_t* mask, int count, float* out);
};

}  // namespace homerun
