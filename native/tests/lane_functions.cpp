// The functions of lanes/, compiled once per instruction set as the kernels are.
#include "tests/lane_functions.hpp"

#include "lanes/lanes.hpp"

namespace homerun::HOMERUN_ISA {

// Ends with a function that has no name.
const LaneFunction* lane_functions();

namespace {

void moved(LaneOutput& out, F a) {
  float numbers[16];
  store(numbers, a);
  __builtin_memcpy(out.exact, numbers, sizeof numbers);
}

// v where |v| < limit, else 1; NaN passes.
void limit(float* v, float most) {
  for (int i = 0; i < 16; i++)
    if (v[i] >= most || v[i] <= -most) v[i] = 1;
}

// Numbers in the domain of scale2.
void not_tiny(float* v) {
  for (int i = 0; i < 16; i++)
    if (v[i] > -0x1p-50f && v[i] < 0x1p-50f && v[i] != 0) v[i] = 1.5f;
}

template <F (*function)(F)>
void one(const LaneInput& in, LaneOutput& out) {
  store(out.computed, function(load(in.a)));
}
template <F (*function)(F, F)>
void two(const LaneInput& in, LaneOutput& out) {
  store(out.computed, function(load(in.a), load(in.b)));
}
template <F (*function)(F, F)>
void picked(const LaneInput& in, LaneOutput& out) {
  moved(out, function(load(in.a), load(in.b)));
}
template <void (*narrow)(std::uint16_t*, F), void (*narrow_first)(std::uint16_t*, F, int)>
void narrowed(const LaneInput& in, LaneOutput& out) {
  std::uint16_t whole[16], first[16] = {};
  narrow(whole, load(in.a));
  narrow_first(first, load(in.a), in.n);
  for (int i = 0; i < 16; i++) out.exact[i] = whole[i] | static_cast<std::uint32_t>(first[i]) << 16;
}

constexpr LaneFunction kFunctions[] = {
    {"set", [](const LaneInput& in, LaneOutput& out) { moved(out, set(in.a[0])); }},
    {"zero", [](const LaneInput&, LaneOutput& out) { moved(out, zero()); }},
    {"load n", [](const LaneInput& in, LaneOutput& out) { moved(out, load(in.a, in.n)); }},
    {"store n",
     [](const LaneInput& in, LaneOutput& out) {
       float numbers[16] = {};
       store(numbers, load(in.a), in.n);
       __builtin_memcpy(out.exact, numbers, sizeof numbers);
     }},
    {"keep_first",
     [](const LaneInput& in, LaneOutput& out) {
       moved(out, keep_first(load(in.a), in.n, load(in.b)));
     }},
    {"where_below",
     [](const LaneInput& in, LaneOutput& out) {
       moved(out, where_below(load(in.a), load(in.b), load(in.c), load(in.integers)));
     }},
    {"load_int8",
     [](const LaneInput& in, LaneOutput& out) {
       std::int8_t bytes[16];
       __builtin_memcpy(bytes, in.halves, sizeof bytes);
       store(out.computed, load_int8(bytes));
       store(out.computed + 16, load_int8(bytes, in.n));
     }},
    {"add", two<add>},
    {"sub", two<sub>},
    {"mul", two<mul>},
    {"div", two<div>},
    {"sqrt", one<sqrt>},
    {"fma",
     [](const LaneInput& in, LaneOutput& out) {
       store(out.computed, fma(load(in.a), load(in.b), load(in.c)));
       // And with almost all of the product taken away again.
       const F a = load(in.a), b = load(in.b);
       store(out.computed + 16, fma(a, b, sub(zero(), mul(a, b))));
     }},
    {"max", picked<max>},
    {"min", picked<min>},
    {"abs", [](const LaneInput& in, LaneOutput& out) { moved(out, abs(load(in.a))); }},
    {"round_even",
     [](const LaneInput& in, LaneOutput& out) {
       float v[16];
       store(v, load(in.a));
       limit(v, 0x1p22f);
       store(out.computed, round_even(load(v)));
       store(out.computed + 16, round_even(mul(load(v), set(0.5f))));
     }},
    {"scale2",
     [](const LaneInput& in, LaneOutput& out) {
       float v[16];
       store(v, load(in.a));
       not_tiny(v);
       store(out.computed, scale2(load(v), load(in.integers)));
     }},
    {"load_fp16", [](const LaneInput& in, LaneOutput& out) { moved(out, load_fp16(in.halves)); }},
    {"load_fp16 n",
     [](const LaneInput& in, LaneOutput& out) { moved(out, load_fp16(in.halves, in.n)); }},
    {"load_bf16", [](const LaneInput& in, LaneOutput& out) { moved(out, load_bf16(in.halves)); }},
    {"load_bf16 n",
     [](const LaneInput& in, LaneOutput& out) { moved(out, load_bf16(in.halves, in.n)); }},
    {"load_bf16_pairs",
     [](const LaneInput& in, LaneOutput& out) {
       F even, odd;
       load_bf16_pairs(in.halves, even, odd);
       float numbers[32];
       store(numbers, even);
       store(numbers + 16, odd);
       __builtin_memcpy(out.exact, numbers, sizeof numbers);
     }},
    {"store_fp16", narrowed<store_fp16, store_fp16>},
    {"store_bf16", narrowed<store_bf16, store_bf16>},
    {"sum", [](const LaneInput& in, LaneOutput& out) { out.computed[0] = sum(load(in.a)); }},
    {"maximum",
     [](const LaneInput& in, LaneOutput& out) { out.computed[0] = maximum(load(in.a)); }},
    {"exp",
     [](const LaneInput& in, LaneOutput& out) {
       const F v = min(set(88.0f), load(in.a));
       store(out.computed, exp(v));
       store(out.computed + 16, exp(min(set(88.0f), mul(v, set(96.0f)))));
     }},
    {"exp2",
     [](const LaneInput& in, LaneOutput& out) {
       store(out.computed, exp2(min(set(127.0f), load(in.a))));
       store(out.computed + 16, exp2(min(set(127.0f), mul(load(in.b), set(96.0f)))));
     }},
    {"rough_exp2",
     [](const LaneInput& in, LaneOutput& out) {
       store(out.computed, rough_exp2(min(set(127.0f), load(in.a))));
       store(out.computed + 16, rough_exp2(min(set(127.0f), mul(load(in.b), set(40.0f)))));
     }},
    {nullptr, nullptr},
};

}  // namespace

const LaneFunction* lane_functions() { return kFunctions; }

}  // namespace homerun::HOMERUN_ISA
