// Loops of one kind of multiply-add each, on registers only: what `peak_gmacs` times.
#pragma once

#include <cstdint>
#include <string_view>

namespace homerun {

struct PeakLoop {
  void (*run)(std::int64_t iterations);
  int macs;  // of one iteration
};

// Throws std::invalid_argument, see machine.hpp.
PeakLoop peak_loop(std::string_view kind);

}  // namespace homerun
