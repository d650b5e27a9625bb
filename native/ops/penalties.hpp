// What penalties and a mask do to a row of logits. Few tokens have a penalty: those are taken out
// of the row (their logits become -inf in a copy) and kept in a list with their float64 scores.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/sampling.hpp"
#include "ops/sampling.hpp"

namespace homerun {

struct Candidate {
  double score;
  double weight;
  std::int32_t id;
};

// Memory that is kept between rows.
struct Penalties {
  std::vector<Candidate> candidates;  // what was taken out and is allowed; weights are 0
  std::vector<float> row;
  std::vector<std::int32_t> times;    // per token, 0 between rows

  // The row without the previous tokens that have a penalty -> candidates, and without what is not
  // allowed: the given logits, or `row`.
  const float* take_out(const SamplingRow& given, int vocab, const SamplingKernels& kernels);
};

}  // namespace homerun
