// The table of this instruction set, of what the other files of kernels/ define.
#include "kernels/kernels.hpp"
#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {

void fill(Kernels& table) {
  fill(table.linear);
  fill_int8(table.linear);
  fill(table.lora);
  fill(table.attention);
  fill(table.elementwise);
  fill(table.sampling);
}

}  // namespace homerun::HOMERUN_ISA
