// Logits to tokens: penalties, mask, temperature, top-k, top-p, draw, as engine/sampler.py defines
// them. Knows rows and numbers; knows nothing of sequences or requests.
#pragma once

#include <cstdint>

namespace homerun {

// How the tokens of one sequence are chosen.
struct Sampling {
  double temperature = 1;
  double top_p = 1;         // 1 or more: off
  std::int64_t top_k = 0;   // 0: off
  double repetition = 0;    // 0: off
  double frequency = 0;
  double presence = 0;
  std::uint64_t seed = 0;
  std::uint64_t choice = 0;
};

// One token to choose. It depends on these fields and nothing else.
struct SamplingRow {
  const Sampling* sampling;
  const float* logits;           // [vocab]
  std::uint64_t position;        // of the token, for its random number
  const std::int32_t* tokens;    // prompt and output so far, each in [0, vocab)
  std::int64_t token_count;
  std::int64_t prompt_length;    // <= token_count
  const std::uint32_t* mask;     // bit t % 32 of word t / 32: token t is allowed; null: all are
};

// The result for a row whose scores hold a NaN, +inf, or only -inf.
constexpr std::int32_t kNotFinite = -1;

// One result per row, over the threads of the pool.
void sample_rows(const SamplingRow* rows, int count, int vocab, std::int32_t* results);

}  // namespace homerun
