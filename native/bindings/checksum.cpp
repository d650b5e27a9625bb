// The checksum of packed files for Python.
#include "ops/checksum.hpp"

#include "bindings/arrays.hpp"

namespace {

using Bytes = Input<std::uint8_t, 1>;

std::uint64_t checksum(const Bytes& data) {
  const GilReleased released;
  return homerun::checksum(data.data(), data.size());
}

}  // namespace

void bind_checksum(nb::module_& m) {
  m.def("checksum", &checksum, nb::arg("data").noconvert(),
        "Checksum of packed files over uint8 [n], see homerun.model.checksum.");
}
