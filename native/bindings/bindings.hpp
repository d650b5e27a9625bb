// The Python faces of ops/, one function per file of bindings/.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_linear(nb::module_& m);
void bind_attention(nb::module_& m);
void bind_elementwise(nb::module_& m);
void bind_sampling(nb::module_& m);
void bind_machine(nb::module_& m);
void bind_checksum(nb::module_& m);
