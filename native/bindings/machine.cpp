#include "bindings/bindings.hpp"

void bind_machine(nb::module_&) {}
