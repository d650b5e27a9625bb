// What AMX adds to the table of the instruction sets before it.
#include "kernels/kernels.hpp"
#include "kernels/parts.hpp"

namespace homerun::amx {

void fill(Kernels& table) {
  fill(table.linear);
  fill_fp16(table.linear);
  fill_int8(table.linear);
  fill(table.attention);
}

}  // namespace homerun::amx
