// Passes over a row of logits, in plain loops of which the compiler makes vectors. float64 is
// multiplied and added, never fused: the bytes are the same on every instruction set.
#include "kernels/sampling.hpp"

#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

constexpr int kLanes = 16;

inline std::int32_t key_of(float x) { return ordered(__builtin_bit_cast(std::int32_t, x)); }

std::int32_t block_keys(const float* logits, int count, int block, std::int32_t* keys) {
  std::int32_t least = kGreatestKey;
  for (int begin = 0; begin < count; begin += block) {
    const int end = begin + block < count ? begin + block : count;
    std::int32_t greatest = key_of(logits[begin]);
    for (int i = begin; i < end; i++) {
      const std::int32_t key = key_of(logits[i]);
      greatest = key > greatest ? key : greatest;
      least = key < least ? key : least;
    }
    *keys++ = greatest;
  }
  return least;
}

int find(const float* logits, int begin, int end, std::int32_t low, std::uint32_t width,
         std::int32_t* found) {
  const auto inside = [&](int i) {
    const auto key = static_cast<std::uint32_t>(key_of(logits[i]));
    return key - static_cast<std::uint32_t>(low) < width;
  };
  int count = 0;
  int i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    int any = 0;
    for (int lane = 0; lane < kLanes; lane++) any |= inside(i + lane);
    if (!any) continue;
    for (int lane = 0; lane < kLanes; lane++) {
      found[count] = i + lane;  // written over if it is not inside
      count += inside(i + lane);
    }
  }
  for (; i < end; i++) {
    found[count] = i;
    count += inside(i);
  }
  return count;
}

// e^s for kLeastScore <= s <= 0, within 1 unit in the last place.
inline double exponential(double s) {
  // Adding 1.5 · 2^52 rounds to an integer, which is then in the low bits.
  const double shifted = s * 1.4426950408889634 + 0x1.8p52;
  const double n = shifted - 0x1.8p52;
  // ln 2 in two parts; the first has trailing zeros, its product with n is exact.
  const double r = (s - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  // (e^r - 1 - r) / r² on |r| <= ln 2 / 2: interpolated at ten Chebyshev nodes, error 1.3e-17.
  double q = 0x1.af38a9b0ec855p-26;
  q = q * r + 0x1.289185613a3d6p-22;
  q = q * r + 0x1.71de0dae63bb3p-19;
  q = q * r + 0x1.a019b90d2ae7ap-16;
  q = q * r + 0x1.a01a01a7c41d5p-13;
  q = q * r + 0x1.6c16c1788bd90p-10;
  q = q * r + 0x1.11111111109b3p-7;
  q = q * r + 0x1.5555555553d63p-5;
  q = q * r + 0x1.5555555555556p-3;
  q = q * r + 0x1.0000000000001p-1;
  const double p = 1.0 + (r + r * r * q);
  // p · 2^n: n goes to the exponent.
  const std::int64_t power = __builtin_bit_cast(std::int64_t, shifted) << 52;
  return __builtin_bit_cast(double, __builtin_bit_cast(std::int64_t, p) + power);
}

// Lane i mod 16 adds its numbers in order; then lanes i and i + 8, i + 4, i + 2, i + 1.
double sum(const double* x, int count) {
  double lanes[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int lane = 0; lane < kLanes; lane++) lanes[lane] += x[i + lane];
  for (int lane = 0; i + lane < count; lane++) lanes[lane] += x[i + lane];
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int lane = 0; lane < width; lane++) lanes[lane] += lanes[lane + width];
  return lanes[0];
}

// Three loops: GCC makes branches of a choice around so much arithmetic, and then no vectors.
void exponentials(const double* scores, int count, double* __restrict__ weights) {
  for (int i = 0; i < count; i++)
    weights[i] = scores[i] < kLeastScore ? kLeastScore : scores[i];
  for (int i = 0; i < count; i++) weights[i] = exponential(weights[i]);
  for (int i = 0; i < count; i++) weights[i] = scores[i] < kLeastScore ? 0.0 : weights[i];
}

double weigh(const float* logits, int count, double best, double sharpness,
             double* __restrict__ scores, double* __restrict__ weights) {
  for (int i = 0; i < count; i++)
    scores[i] = (static_cast<double>(logits[i]) - best) * sharpness;
  exponentials(scores, count, weights);
  return sum(weights, count);
}

void find_bins(const double* scores, int count, double per_unit, double last,
               std::int32_t* __restrict__ bins) {
  for (int i = 0; i < count; i++) {
    const double bin = -scores[i] * per_unit;
    bins[i] = static_cast<std::int32_t>(bin < last ? bin : last);
  }
}

void allow(const float* logits, const std::uint32_t* mask, int count, float* __restrict__ out) {
  const float refused = -__builtin_inff();
  int i = 0;
  for (; i + kMaskBits <= count; i += kMaskBits) {
    const std::uint32_t word = *mask++;
    for (int bit = 0; bit < kMaskBits; bit++)
      out[i + bit] = word & (1u << bit) ? logits[i + bit] : refused;
  }
  for (int bit = 0; i + bit < count; bit++)
    out[i + bit] = *mask & (1u << bit) ? logits[i + bit] : refused;
}

}  // namespace

void fill(SamplingKernels& kernels) {
  kernels.block_keys = block_keys;
  kernels.find = find;
  kernels.weigh = weigh;
  kernels.exponentials = exponentials;
  kernels.find_bins = find_bins;
  kernels.allow = allow;
}

}  // namespace homerun::HOMERUN_ISA
