// What AVX512-BF16 adds to the table of the instruction sets before it.
#include "kernels/kernels.hpp"
#include "kernels/parts.hpp"

namespace homerun::avx512_bf16 {

void fill(Kernels& table) { fill(table.linear); }

}  // namespace homerun::avx512_bf16
