// Figures that benchmarks are made of: limits of the machine, and the work done so far.
#include <nanobind/stl/string.h>

#include "bindings/arrays.hpp"
#include "ops/clock.hpp"
#include "ops/machine.hpp"
#include "thread_pool.hpp"

namespace {

using Bytes = Input<std::uint8_t, 1>;

double read_probe(const Bytes& array) {
  const GilReleased released;
  return homerun::read_probe(array.data(), array.size());
}

double peak(const std::string& kind) {
  const GilReleased released;
  return homerun::peak_gmacs(kind);  // std::invalid_argument becomes ValueError
}

nb::dict work_done() {
  const auto seconds = [](homerun::Work kind) {
    return 1e-9 * homerun::work_done.nanoseconds[static_cast<int>(kind)].load();
  };
  nb::dict done;
  done["linear_seconds"] = seconds(homerun::Work::linear);
  done["attention_seconds"] = seconds(homerun::Work::attention);
  done["other_seconds"] = seconds(homerun::Work::other);
  done["linear_macs"] = homerun::work_done.macs.load();
  return done;
}

}  // namespace

void bind_machine(nb::module_& m) {
  m.def("threads", [] { return homerun::pool().threads(); },
        "How many threads compute together, the calling one included.");
  m.def("read_probe", &read_probe, nb::arg("array").noconvert(),
        "Seconds in which all threads read the bytes of `array` (uint8 [n]) once, in order.");
  m.def("peak", &peak, nb::arg("kind"),
        "10^9 multiply-adds per second of all threads: int8, bf16, fp32, amx_int8 or amx_bf16. "
        "ValueError if the CPU does not have it.");
  m.def("work_done", &work_done,
        "Since the process began: linear_seconds, attention_seconds, other_seconds of the "
        "operations, and linear_macs.");
}
