#include "ops/penalties.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace homerun {
namespace {

constexpr double kHuge = 1e300;  // a repetition penalty makes no finite logit infinite

double penalized(double score, const Sampling& sampling, int times_in_output) {
  if (sampling.repetition != 0) {
    score = score > 0 ? score / sampling.repetition : score * sampling.repetition;
    score = score > kHuge ? kHuge : score < -kHuge ? -kHuge : score;  // keeps NaN
  }
  if (times_in_output > 0) {
    score -= times_in_output * sampling.frequency;
    score -= sampling.presence;
  }
  return score;
}

}  // namespace

const float* Penalties::take_out(const SamplingRow& given, int vocab,
                                 const SamplingKernels& kernels) {
  candidates.clear();
  const Sampling& sampling = *given.sampling;
  const bool counts = sampling.frequency != 0 || sampling.presence != 0;
  const std::int64_t first = sampling.repetition != 0 ? 0
                             : counts                 ? given.prompt_length
                                                      : given.token_count;
  if (first == given.token_count && !given.mask) return given.logits;

  // 1 + how often in the output; 0 = unseen.
  if (times.size() < static_cast<std::size_t>(vocab)) times.resize(vocab);
  for (std::int64_t i = first; i < given.token_count; i++) {
    const std::int32_t id = given.tokens[i];
    if (times[id] == 0) {
      candidates.push_back({0, 0, id});
      times[id] = 1;
    }
    times[id] += i >= given.prompt_length;
  }
  for (Candidate& c : candidates) {
    c.score = penalized(given.logits[c.id], sampling, counts ? times[c.id] - 1 : 0);
    times[c.id] = 0;
  }

  row.resize(vocab);
  if (given.mask)
    kernels.allow(given.logits, given.mask, vocab, row.data());
  else
    std::copy_n(given.logits, vocab, row.data());
  for (const Candidate& c : candidates) row[c.id] = -std::numeric_limits<float>::infinity();
  const auto refused = [&](const Candidate& c) {
    return given.mask && !(given.mask[c.id / kMaskBits] >> (c.id % kMaskBits) & 1);
  };
  std::erase_if(candidates, refused);
  return row.data();
}

}  // namespace homerun
