// What adapters add to products: awkward ranks, columns and mixtures of rows, fp32 to bf16 factors.
#include <string>

#include "ops/linear.hpp"
#include "tests/agreement.hpp"

namespace homerun::agreement {
namespace {

constexpr int up(int n, int unit) { return (n + unit - 1) / unit * unit; }

// Random factors in the layout of kernels/lora.hpp; what padding holds must not matter.
struct Factors {
  std::vector<std::vector<std::uint32_t>> words;
  std::vector<float> scalings;
  std::vector<LoraPart> parts;
  LoraPlace place;

  Factors(DType dtype, int k, std::initializer_list<int> ranks, int columns, Random& random) {
    int all = 0;
    for (const int rank : ranks) {
      const void* b = numbers(dtype, std::size_t(rank) * up(columns, kPanel), random);
      parts.push_back({b, all, rank, static_cast<int>(parts.size()) * columns, columns});
      scalings.insert(scalings.end(), rank, 1 + random.ordinary());
      all += rank;
    }
    const void* a = numbers(dtype, std::size_t(all) * up(k, kRankStep), random);
    place = {dtype, k, all, a, scalings.data(), parts.data(), static_cast<int>(parts.size())};
  }

  const void* numbers(DType dtype, std::size_t count, Random& random) {
    words.emplace_back(count);
    for (std::size_t i = 0; i < count; i++) {
      const float value = random.ordinary();
      std::uint32_t word;
      std::memcpy(&word, &value, sizeof word);
      if (dtype == DType::bf16) word >>= 16;
      if (dtype == DType::fp16) word = (word >> 16 & 0x8000) | random.below(0x3c00);
      std::memcpy(reinterpret_cast<char*>(words.back().data()) + i * bytes_of(dtype), &word,
                  bytes_of(dtype));
    }
    return words.back().data();
  }
};

// To a product that is zero: of float32 weights, or of int8 ones, which add as they write.
void additions(Record& record, DType dtype, Prologue::Kind kind, DType base) {
  Random random(100 + static_cast<int>(dtype) * 10 + kind);
  constexpr int kRows = 131;
  const int columns = base == DType::int8 ? 160 : 45;
  for (const int k : {1, 70, 1100}) {
    const Factors some(dtype, k, {5, 16}, columns, random);
    const Factors other(dtype, k, {1}, columns, random);
    std::vector<std::uint8_t> panels(
        std::size_t(up(2 * columns, kPanel)) * up(k, kPadding) * bytes_of(base),
        base == DType::int8 ? 128 : 0);
    const std::vector<float> scales(up(2 * columns, kPanel), 1.0f);
    const LinearWeight zero{base, 2 * columns, k, up(k, kPadding), panels.data(),
                            base == DType::int8 ? scales.data() : nullptr, 0, 0};
    const std::vector<float> norm = random.floats(k);
    Prologue prologue;
    prologue.kind = kind;
    prologue.norm_weight = norm.data();
    prologue.eps = 1e-6f;
    const std::size_t stride = kind == Prologue::gated ? 2 * k : k;
    const std::vector<float> x = random.floats(stride * kRows);
    for (const int rows : {1, 3, kRows}) {
      std::vector<std::int32_t> first, second;
      for (int row = 0; row < rows; row++)
        if (row % 7 != 1) (row % 5 == 2 ? second : first).push_back(row);
      const LoraSegment segments[] = {{&some.place, first.data(), static_cast<int>(first.size())},
                                      {&other.place, second.data(),
                                       static_cast<int>(second.size())}};
      std::vector<float> out = random.floats(std::size_t(rows) * 2 * columns);
      linear(zero, prologue, x.data(), stride, rows, out.data(), 2 * columns, true, segments, 2);
      record.floats(out);
    }
  }
}

}  // namespace

std::vector<Case> lora_cases() {
  constexpr const char* kDTypes[] = {"fp32", "fp16", "bf16"};
  constexpr const char* kKinds[] = {"", " after norm", " after gate"};
  std::vector<Case> cases;
  for (int dtype = 0; dtype < 3; dtype++)
    for (int kind = 0; kind < 3; kind++)
      for (const DType base : {DType::fp32, DType::int8})
        cases.push_back({std::string("lora ") + kDTypes[dtype] + kKinds[kind] +
                             (base == DType::int8 ? " of int8" : ""),
                         [=](Record& record) {
                           additions(record, static_cast<DType>(dtype),
                                     static_cast<Prologue::Kind>(kind), base);
                         }});
  return cases;
}

}  // namespace homerun::agreement
