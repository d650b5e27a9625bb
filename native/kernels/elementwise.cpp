#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {

void fill(ElementwiseKernels&) {}

}  // namespace homerun::HOMERUN_ISA
