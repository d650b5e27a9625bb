// Norm, gated activations and embedding of one row, on sixteen lanes: the same bytes on every
// instruction set.
#include "kernels/elementwise.hpp"

#include "kernels/parts.hpp"
#include "lanes/lanes.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

constexpr int kLanes = 16;

// Calls whole(i) for every 16 numbers of a row, then rest(i, n) for the n < 16 that are left.
template <class Whole, class Rest>
inline void for_lanes(int width, Whole&& whole, Rest&& rest) {
  int i = 0;
  for (; i + kLanes <= width; i += kLanes) whole(i);
  if (i < width) rest(i, width - i);
}

// Σ x²: vector v of 16 numbers (the last one filled up with zeros) goes to accumulator v mod 4 by
// one fma per lane; (a0 + a1) + (a2 + a3), then the tree of `sum`. Four, because each fma waits for
// the one before it on the same accumulator.
float sum_of_squares(const float* x, int width) {
  F a[4] = {zero(), zero(), zero(), zero()};
  int i = 0;
  for (; i + 4 * kLanes <= width; i += 4 * kLanes) {
    for (int j = 0; j < 4; j++) {
      const F v = load(x + i + j * kLanes);
      a[j] = fma(v, v, a[j]);
    }
  }
  for (int j = 0; i < width; j++, i += kLanes) {
    const int n = width - i;
    const F v = n < kLanes ? load(x + i, n) : load(x + i);
    a[j] = fma(v, v, a[j]);
  }
  return sum(add(add(a[0], a[1]), add(a[2], a[3])));
}

void rms_norm(const float* x, const float* weight, float eps, int width, float* out) {
  const float mean = sum_of_squares(x, width) / static_cast<float>(width);
  const F inverse = div(set(1.0f), sqrt(set(mean + eps)));
  for_lanes(
      width,
      [&](int i) { store(out + i, mul(mul(load(x + i), inverse), load(weight + i))); },
      [&](int i, int n) {
        store(out + i, mul(mul(load(x + i, n), inverse), load(weight + i, n)), n);
      });
}

// x / (1 + e^-v) = x · (v > 0 ? 1 : e^v) / (1 + e^-|v|): no exponential overflows, so -1e30 gives
// -0 and not -1e30 / inf or NaN.
inline F times_sigmoid(F x, F v) {
  const F one = set(1.0f);
  const F e = exp(sub(zero(), abs(v)));
  // 1 for v > 0, or so small that e is 1; negative for v < 0; a NaN passes both.
  const F positive = min(one, mul(v, set(0x1p100f)));
  return div(mul(x, max(positive, e)), add(one, e));
}

inline F silu(F x) { return times_sigmoid(x, x); }

// x/2 · (1 + tanh(z)) is x / (1 + e^-2z): no tanh, hence no cancellation near -1, none near 0.
inline F gelu_tanh(F x) {
  const F cube = mul(mul(x, x), x);
  const F inner = add(x, mul(set(0.044715f), cube));
  return times_sigmoid(x, mul(set(1.5957691216057308f), inner));  // 2 · sqrt(2 / pi)
}

// `function` is a lambda, so that it is inlined: a call costs as much as what it computes.
template <class Function>
void gate(const float* gate_up, int width, float* out, Function function) {
  const float* up = gate_up + width;
  for_lanes(
      width, [&](int i) { store(out + i, mul(function(load(gate_up + i)), load(up + i))); },
      [&](int i, int n) {
        store(out + i, mul(function(load(gate_up + i, n)), load(up + i, n)), n);
      });
}

void gated(const float* gate_up, Activation activation, int width, float* out) {
  if (activation == Activation::silu)
    gate(gate_up, width, out, [](F x) { return silu(x); });
  else
    gate(gate_up, width, out, [](F x) { return gelu_tanh(x); });
}

// One row of a 16-bit table: `read` and `write` are of its dtype.
template <class Read, class ReadFirst, class Write>
void embed_16(const std::uint16_t* row, float scale, int width, float* out, Read read,
              ReadFirst read_first, Write write) {
  const F factor = set(scale);
  const auto scaled = [&](F v) {
    if (scale == 1.0f) return v;
    alignas(32) std::uint16_t rounded[kLanes];
    write(rounded, mul(v, factor));
    return read(rounded);
  };
  for_lanes(
      width, [&](int i) { store(out + i, scaled(read(row + i))); },
      [&](int i, int n) { store(out + i, scaled(read_first(row + i, n)), n); });
}

void embed(const void* row, DType dtype, float scale, int width, float* out) {
  const auto* halves = static_cast<const std::uint16_t*>(row);
  using Bits = const std::uint16_t*;
  if (dtype == DType::fp16) {
    embed_16(
        halves, scale, width, out, [](Bits p) { return load_fp16(p); },
        [](Bits p, int n) { return load_fp16(p, n); },
        [](std::uint16_t* p, F v) { store_fp16(p, v); });
  } else if (dtype == DType::bf16) {
    embed_16(
        halves, scale, width, out, [](Bits p) { return load_bf16(p); },
        [](Bits p, int n) { return load_bf16(p, n); },
        [](std::uint16_t* p, F v) { store_bf16(p, v); });
  } else {
    const auto* numbers = static_cast<const float*>(row);
    const F factor = set(scale);
    for_lanes(
        width, [&](int i) { store(out + i, mul(load(numbers + i), factor)); },
        [&](int i, int n) { store(out + i, mul(load(numbers + i, n), factor), n); });
  }
}

}  // namespace

void fill(ElementwiseKernels& kernels) {
  kernels.rms_norm = rms_norm;
  kernels.gated = gated;
  kernels.embed = embed;
}

}  // namespace homerun::HOMERUN_ISA
