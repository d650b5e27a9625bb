// Each function of lanes/ with plain arrays around it, so that the instruction sets can be compared.
#pragma once

#include <cstdint>

namespace homerun {

struct LaneInput {
  float a[16], b[16], c[16];   // any bits
  float integers[16];          // in [-150, 127]
  std::uint16_t halves[32];    // any bits
  int n;                       // in [0, 16)
};

struct LaneOutput {
  float computed[32];
  std::uint32_t exact[32];
};

struct LaneFunction {
  const char* name;
  void (*apply)(const LaneInput& in, LaneOutput& out);
};

}  // namespace homerun
