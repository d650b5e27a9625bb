#include "bindings/bindings.hpp"

void bind_sampling(nb::module_&) {}
