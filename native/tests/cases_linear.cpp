// Products with packed matrices of every dtype, of awkward shapes, with what is done on the way.
#include <string>

#include "ops/linear.hpp"
#include "tests/agreement.hpp"

namespace homerun::agreement {
namespace {

struct Shape {
  int rows, n, k;
  int weight_group = 0, activation_group = 0;
};

constexpr Shape kShapes[] = {
    {1, 1, 1},    {1, 33, 65},   {2, 32, 64},     {3, 95, 300},          {5, 64, 256},
    {7, 40, 513}, {13, 70, 511}, {17, 31, 130},   {1, 64, 512, 128, 0},  {6, 50, 512, 64, 128},
    {9, 96, 500, 128, 64},       {4, 33, 640, 0, 128},                   {33, 65, 384, 128, 128},
    {20, 580, 1100},             {300, 40, 600, 0, 256},
};

// Large enough to be split on AMX (amx/linear_fp16.cpp).
constexpr Shape kLargeShapes[] = {{1, 1100, 1930}, {5, 1100, 1930}, {35, 1100, 1930}};

constexpr int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }

// A matrix of random values, as it would lie in a packed file.
struct Matrix {
  std::vector<std::uint8_t> panels;
  std::vector<float> scales;
  LinearWeight weight;
};

// Padding is zero: 128 for int8.
Matrix matrix(DType dtype, const Shape& shape, Random& random) {
  Matrix m;
  const int padded_k = round_up(shape.k, kPadding), padded_n = round_up(shape.n, kPanel);
  const std::size_t bytes = bytes_of(dtype), count = std::size_t(padded_n) * padded_k;
  m.panels.resize(count * bytes);
  const int together = dtype == DType::int8 ? 4 : dtype == DType::bf16 ? 2 : 1;
  for (std::size_t i = 0; i < count; i++) {
    // i = ((panel · padded_k / together + step) · 32 + channel) · together + part
    const int part = i % together, channel = i / together % kPanel;
    const int step = i / together / kPanel % (padded_k / together);
    const int panel = i / kPanel / padded_k;
    const bool inside = panel * kPanel + channel < shape.n && step * together + part < shape.k;
    std::uint32_t word = 0;
    if (dtype == DType::int8) {
      word = inside ? 1 + random.below(255) : 128;
    } else if (inside) {
      const float value = random.ordinary();
      std::memcpy(&word, &value, sizeof word);
      // Truncated bits of the same number will do for the 16-bit kinds.
      if (dtype == DType::bf16) word >>= 16;
      if (dtype == DType::fp16) word = (word >> 16 & 0x8000) | random.below(0x3c00);
    }
    std::memcpy(m.panels.data() + i * bytes, &word, bytes);
  }
  m.weight = {dtype, shape.n, shape.k, padded_k, m.panels.data(), nullptr, shape.weight_group,
              shape.activation_group};
  if (dtype == DType::int8) {
    m.scales.resize(std::size_t(padded_n) * groups(m.weight, shape.weight_group));
    for (float& scale : m.scales) scale = 0.01f + 0.005f * random.ordinary();
    m.weight.scales = m.scales.data();
  }
  return m;
}

template <std::size_t count>
void products(Record& record, DType dtype, Prologue::Kind kind, const Shape (&shapes)[count],
              bool anything) {
  Random random(static_cast<int>(dtype) * 10 + kind);
  for (const Shape& shape : shapes) {
    const Matrix m = matrix(dtype, shape, random);
    const std::vector<float> norm = random.floats(shape.k);
    Prologue prologue;
    prologue.kind = kind;
    prologue.norm_weight = norm.data();
    prologue.eps = 1e-6f;
    const std::size_t stride = kind == Prologue::gated ? 2 * shape.k : shape.k;
    std::vector<float> x = random.floats(stride * shape.rows);
    if (shape.rows > 2) {
      for (std::size_t i = 0; i < stride; i++) x[stride + i] = 0;  // a row of zeros
      if (anything) x[2 * stride] = random.any();                  // and one with anything
    }
    // Some large numbers in each second row: outliers of the int8 arithmetic.
    for (int row = 0; dtype == DType::int8 && row < shape.rows; row += 2)
      for (int i = row % 12; i > 0; i--) x[row * stride + random.below(stride)] *= 100;
    for (const bool add : {false, true}) {
      std::vector<float> out = random.floats(std::size_t(shape.rows) * shape.n);
      linear(m.weight, prologue, x.data(), stride, shape.rows, out.data(), shape.n, add);
      record.floats(out);
    }
  }
}

}  // namespace

std::vector<Case> linear_cases() {
  constexpr const char* kDTypes[] = {"fp32", "fp16", "bf16", "int8"};
  constexpr const char* kKinds[] = {"", " after norm", " after gate"};
  std::vector<Case> cases;
  for (int dtype = 0; dtype < 4; dtype++) {
    if (!linear_available(static_cast<DType>(dtype))) continue;
    for (int kind = 0; kind < 3; kind++) {
      cases.push_back({std::string("linear ") + kDTypes[dtype] + kKinds[kind],
                       [=](Record& record) {
                         products(record, static_cast<DType>(dtype),
                                  static_cast<Prologue::Kind>(kind), kShapes,
                                  dtype != static_cast<int>(DType::bf16));
                       },
                       dtype == static_cast<int>(DType::bf16) ? 2e-4f : 0.0f});
    }
  }
  if (linear_available(DType::fp16))
    cases.push_back({"linear fp16, large",
                     [](Record& record) {
                       products(record, DType::fp16, Prologue::none, kLargeShapes, false);
                     },
                     2e-4f, true});
  return cases;
}

}  // namespace homerun::agreement
