#include "bindings/bindings.hpp"

void bind_elementwise(nb::module_&) {}
