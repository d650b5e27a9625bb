#include "ops/checksum.hpp"

#include <nanobind/ndarray.h>

#include "bindings/bindings.hpp"

namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::uint64_t checksum(const Bytes& data) {
  const GilReleased released;
  return homerun::checksum(data.data(), data.size());
}

}  // namespace

void bind_checksum(nb::module_& m) {
  m.def("checksum", &checksum, nb::arg("data"),
        "Checksum of packed files over uint8 [n], see homerun.model.checksum.");
}
