// Passes over logits at awkward lengths, and tokens chosen by them.
#include "kernels/kernels.hpp"
#include "ops/sampling.hpp"
#include "tests/agreement.hpp"

namespace homerun::agreement {
namespace {

constexpr int kLengths[] = {1, 7, 8, 31, 33, 100, 511, 512};

void doubles(Record& record, const std::vector<double>& x) {
  std::vector<std::uint32_t> words(2 * x.size());
  std::memcpy(words.data(), x.data(), 4 * words.size());
  record.exactly(words.data(), words.size());
}

void block_keys(Record& record) {
  Random random(1);
  for (const int count : kLengths) {
    for (const int block : {16, 32, 64}) {
      std::vector<float> logits(count);
      for (float& x : logits) x = random.any();
      std::vector<std::int32_t> keys((count + block - 1) / block);
      const std::int32_t least =
          kernels().sampling.block_keys(logits.data(), count, block, keys.data());
      record.exactly(&least, 1);
      record.exactly(keys.data(), keys.size());
    }
  }
}

void weigh(Record& record) {
  Random random(2);
  for (const int count : kLengths) {
    for (const double temperature : {1.0, 0.7, 0.01}) {
      const std::vector<float> logits = random.awkward(count);
      std::vector<float> low(count);
      for (int i = 0; i < count; i++) low[i] = logits[i] > 0 ? -logits[i] : logits[i];
      std::vector<double> scores(count), weights(count);
      const double sum = kernels().sampling.weigh(low.data(), count, 0.0, temperature,
                                                  scores.data(), weights.data());
      doubles(record, {sum});
      doubles(record, scores);
      doubles(record, weights);
      kernels().sampling.exponentials(scores.data(), count, weights.data());
      doubles(record, weights);
    }
  }
}

void allow(Record& record) {
  Random random(3);
  for (const int count : kLengths) {
    std::vector<float> logits(count), out(count);
    for (float& x : logits) x = random.any();
    std::vector<std::uint32_t> mask((count + kMaskBits - 1) / kMaskBits);
    for (std::uint32_t& word : mask) word = random.bits();
    kernels().sampling.allow(logits.data(), mask.data(), count, out.data());
    record.floats(out);
  }
}

void tokens(Record& record) {
  constexpr int kVocab = 5003;
  constexpr Sampling kWays[] = {{},
                                {.temperature = 0.8, .top_p = 0.9},
                                {.temperature = 0.6, .top_k = 20},
                                {.temperature = 1.3, .repetition = 1.2},
                                {.temperature = 0}};
  Random random(4);
  for (std::uint64_t position = 0; position < 20; position++) {
    std::vector<float> logits = random.floats(kVocab);
    for (float& x : logits) x *= 10;
    const std::int32_t seen[] = {1, 7, 7, 4999};
    for (const Sampling& way : kWays) {
      const SamplingRow row{&way, logits.data(), position, seen, 4, 2, nullptr};
      std::int32_t token;
      sample_rows(&row, 1, kVocab, &token);
      record.exactly(&token, 1);
    }
  }
}

}  // namespace

std::vector<Case> sampling_cases() {
  return {{"block_keys", block_keys}, {"weigh", weigh}, {"allow", allow}, {"tokens", tokens}};
}

}  // namespace homerun::agreement
