#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {

void fill(LinearKernels&) {}

}  // namespace homerun::HOMERUN_ISA
