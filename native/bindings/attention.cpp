#include "bindings/bindings.hpp"

void bind_attention(nb::module_&) {}
