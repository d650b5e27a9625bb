// Products with bfloat16 weights on AMX tiles: 16 x 16 sums, 32 k per instruction.
// The order of a sum is the instruction's, the same for every row of every tile: so here too a
// row's bytes depend on nothing but the row. Rows are packed by the set before this one.
#include "kernels/amx/chunk.hpp"
#include "kernels/parts.hpp"

namespace homerun::amx {
namespace {

// The sums of a row and a panel to where they belong.
void write_panel(const Product& product, int row, int panel, const float* sums) {
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

struct Writing {
  const Product& product;

  void group_done(const PairSums&) const {}
  void write(const RowSums& row) const {
    const char* sums = row.sums;
    for (int panel = row.panel_begin; panel < row.panel_end; panel++, sums += kPanelSums)
      write_panel(product, row.row, panel, reinterpret_cast<const float*>(sums));
  }
};

void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  multiply_chunks<DType::bf16>(product, row_begin, row_end, panel_begin, panel_end, 0,
                               Writing{product});
}

}  // namespace

void fill(LinearKernels& kernels) {
  kernels.multiply[static_cast<int>(DType::bf16)] = multiply;
  kernels.fewest_tiled[static_cast<int>(DType::bf16)] = 1;
}

}  // namespace homerun::amx
