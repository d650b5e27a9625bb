// Products with bfloat16 weights on AMX tiles: 16 x 16 sums, 32 k per instruction.
// The order of a sum is the instruction's, the same for every row of every tile: so here too a
// row's bytes depend on nothing but the row. Rows are packed by the set before this one.
#include "kernels/amx/tiles.hpp"
#include "kernels/parts.hpp"
#include "kernels/tiled/writing.hpp"

namespace homerun::amx {
namespace {

void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  const Tiles tiles(product.rows.tile_rows);
  tiled::multiply_chunks<TilePair<DType::bf16>>(product, row_begin, row_end, panel_begin, panel_end, 0,
                                         tiled::Writing{product});
}

}  // namespace

void fill(LinearKernels& kernels) {
  kernels.multiply[static_cast<int>(DType::bf16)] = multiply;
  kernels.fewest_tiled[static_cast<int>(DType::bf16)] = [](const LinearWeight&) { return 1; };
}

}  // namespace homerun::amx
