#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {

void fill(AttentionKernels&) {}

}  // namespace homerun::HOMERUN_ISA
