// What the cases of `agree` are made of: data that is the same in every run, and a record of results
// that can be compared.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

namespace homerun::agreement {

// The results of a case under one instruction set.
class Record {
 public:
  // Numbers that were computed. All NaN count as one: which one comes out is the processor's choice.
  void floats(const float* x, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) {
      std::uint32_t bits;
      std::memcpy(&bits, x + i, sizeof bits);
      words_.push_back(x[i] != x[i] ? 0x7fc00000u : bits);
    }
  }
  void floats(const std::vector<float>& x) { floats(x.data(), x.size()); }
  // Numbers that were moved or converted.
  template <class Word>
  void exactly(const Word* x, std::size_t count) {
    words_.insert(words_.end(), x, x + count);
  }

  const std::vector<std::uint32_t>& words() const { return words_; }

 private:
  std::vector<std::uint32_t> words_;
};

struct Case {
  std::string name;
  std::function<void(Record&)> run;
  // Products with bfloat16 are summed in the order of the instruction on avx512_bf16 and amx; on amx
  // also those with large float16 matrices, and attention of wide heads over float16 and float32
  // caches: there results are near those of the others, and this is the largest difference of numbers
  // up to 1, in proportion beyond. 0: the same bytes.
  float tolerance = 0;
  bool only_amx = false;  // the tolerance holds for amx alone
};

// Numbers from a seed (splitmix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint32_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 32);
  }
  int below(int n) { return static_cast<int>(bits() % static_cast<std::uint32_t>(n)); }
  // In (-1, 1).
  float ordinary() { return (static_cast<float>(bits() >> 8) - 0x1p23f) * 0x1p-23f; }
  // Any bits at all, with denormal and infinite numbers, NaN, zeros and limits among them.
  float any() {
    static constexpr std::uint32_t kSpecial[] = {
        0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff,
        0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7f812345, 0x3f800000, 0xbf000000,
        0x477fe000, 0x477fefff, 0x477ff000, 0xc77ff000, 0x33000000, 0x33000001, 0x387fe000,
        0x3f808000, 0x3f818000, 0x3f808001, 0x7f7f8000, 0x42b00000, 0xc2d00000, 0x4affffff};
    const int kind = below(4);
    std::uint32_t word = bits();
    if (kind == 0) word = kSpecial[word % std::size(kSpecial)];
    if (kind == 1) return ordinary();
    // Near 1, where additions and roundings meet.
    if (kind == 2) word = (word & 0x807fffff) | ((112 + word % 31) << 23);
    float x;
    std::memcpy(&x, &word, sizeof x);
    return x;
  }

  std::vector<float> floats(std::size_t count) {
    std::vector<float> x(count);
    for (float& one : x) one = ordinary();
    return x;
  }
  // Mostly ordinary numbers; one in fifty is anything that is finite.
  std::vector<float> awkward(std::size_t count) {
    std::vector<float> x(count);
    for (float& one : x) {
      one = ordinary();
      if (below(50) == 0) {
        const float other = any();
        if (other - other == 0) one = other;
      }
    }
    return x;
  }

 private:
  std::uint64_t state_;
};

// One function per file of cases.
std::vector<Case> lane_cases();
std::vector<Case> elementwise_cases();
std::vector<Case> linear_cases();
std::vector<Case> lora_cases();
std::vector<Case> attention_cases();
std::vector<Case> sampling_cases();

}  // namespace homerun::agreement
