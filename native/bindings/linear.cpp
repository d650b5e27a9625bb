#include "bindings/bindings.hpp"

void bind_linear(nb::module_&) {}
