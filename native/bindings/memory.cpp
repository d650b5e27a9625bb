// Memory that the system has promised, for Python.
#include "ops/memory.hpp"

#include <vector>

#include "bindings/arrays.hpp"

namespace {

using Bytes = Output<std::uint8_t, 1>;

void populate(const nb::list& pieces, bool by_writes) {
  std::vector<homerun::Piece> found;
  for (const nb::handle piece : pieces) {
    Bytes bytes;
    if (!nb::try_cast(piece, bytes, false)) throw nb::type_error("pieces are uint8 [n]");
    found.push_back({bytes.data(), bytes.size()});
  }
  const GilReleased released;
  homerun::populate(found, by_writes);
}

}  // namespace

void bind_memory(nb::module_& m) {
  m.def("populate", &populate, nb::arg("pieces"), nb::arg("by_writes") = false,
        "Has the system give memory for the pages of `pieces` (each uint8 [n]), on all threads. "
        "Contents stay; nobody may write to them meanwhile. `by_writes`: as where the system has no "
        "call for it.");
}
