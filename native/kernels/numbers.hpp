// Numbers of 16 bits as types of their own, so that code is written once for all floats.
#pragma once

#include <cstdint>

#include "lanes/lanes.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

struct Float16 {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

// Sixteen of them, widened.
inline F load_numbers(const float* p) { return load(p); }
inline F load_numbers(const Float16* p) { return load_fp16(&p->bits); }
inline F load_numbers(const BFloat16* p) { return load_bf16(&p->bits); }

}  // namespace
}  // namespace homerun::HOMERUN_ISA
