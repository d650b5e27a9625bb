// Products with int8 weights on AMX tiles: 16 x 16 sums, 64 k per instruction.
// The sums are exact, so the bytes are those of every other instruction set; rows are packed by the
// set before this one, and a packed panel is a row of tiles as it is.
#include "kernels/amx/tiles.hpp"
#include "kernels/parts.hpp"
#include "kernels/tiled/scaling.hpp"

namespace homerun::amx {
namespace {

// Below this the set before streams weights from memory as fast, without tiles.
constexpr int kFewestRows = 5;

void (*multiply_few_rows)(const Product& product, int row_begin, int row_end, int panel_begin,
                          int panel_end);

void multiply(const Product& product, int row_begin, int row_end, int panel_begin,
              int panel_end) {
  if (!product.rows.tile_rows)
    return multiply_few_rows(product, row_begin, row_end, panel_begin, panel_end);
  const Tiles tiles(product.rows.tile_rows);
  const tiled::Scaling scaling(product);
  tiled::multiply_chunks<TilePair<DType::int8>>(product, row_begin, row_end, panel_begin, panel_end,
                                         sum_group(*product.weight), scaling);
}

}  // namespace

void fill_int8(LinearKernels& kernels) {
  auto& entry = kernels.multiply[static_cast<int>(DType::int8)];
  if (entry != multiply) multiply_few_rows = entry;
  entry = multiply;
  kernels.fewest_tiled[static_cast<int>(DType::int8)] = [](const LinearWeight&) {
    return kFewestRows;
  };
}

}  // namespace homerun::amx
