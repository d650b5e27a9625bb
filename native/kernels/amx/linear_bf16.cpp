// Products with bfloat16 weights on AMX tiles: 16 x 16 sums, 32 k per instruction.
// The order of a sum is the instruction's, the same for every row of every tile: so here too a
// row's bytes depend on nothing but the row. Rows are packed by the set before this one.
#include "kernels/amx/chunk.hpp"
#include "kernels/parts.hpp"

namespace homerun::amx {
namespace {

// The sums of a row and a panel to where they belong.
void write_row(const Product& product, int row, int panel, const float* sums) {
  float* out = product.out + row * product.out_stride + panel * kPanel;
  const int channels = smaller(kPanel, product.weight->n - panel * kPanel);
  for (int channel = 0; channel < channels; channel += 16) {
    const int count = smaller(16, channels - channel);
    const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1);
    __m512 result = _mm512_load_ps(sums + channel);
    if (product.add) result = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out + channel), result);
    _mm512_mask_storeu_ps(out + channel, mask, result);
  }
}

void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  const auto write = [&](const PairSums& pair) {
    const auto* sums = reinterpret_cast<const float*>(pair.sums);
    for (int r = 0; r < pair.rows; r++)
      write_row(product, pair.row + r, pair.panel, sums + r * kPanel);
  };
  multiply_chunks<DType::bf16>(product, row_begin, row_end, panel_begin, panel_end, 0, write);
}

}  // namespace

void fill(LinearKernels& kernels) {
  kernels.multiply[static_cast<int>(DType::bf16)] = multiply;
  kernels.fewest_tiled[static_cast<int>(DType::bf16)] = 1;
}

}  // namespace homerun::amx
