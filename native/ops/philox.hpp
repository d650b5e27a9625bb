// Random numbers that are a pure function of what they are for: Philox4x64-10 (Salmon et al. 2011).
#pragma once

#include <cstdint>

namespace homerun {

// A number in [0, 1): the upper 53 bits of the first word with key (seed, 0) and counter (position,
// choice, purpose, 0).
double uniform(std::uint64_t seed, std::uint64_t position, std::uint64_t choice,
               std::uint64_t purpose);

}  // namespace homerun
