#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {

void fill_int8(LinearKernels&) {}

}  // namespace homerun::HOMERUN_ISA
