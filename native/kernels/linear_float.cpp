// Products with float32, float16 and bfloat16 weights, on lanes: the same bytes everywhere.
//
// A result is a total over blocks of kSumBlock k, added in order; the sum of a block is one chain of
// fused multiply-adds in order of k. Nothing else decides its bytes, so rows and panels may be
// grouped as the caches and registers like it:
//
//   chunk of rows and group of panels      their totals stay in the L2 cache
//     block of k                           16-bit weights are widened once for all rows of the chunk
//       tile of rows                       its block of activations stays in the L1 cache
//         panels of the group              sums of tile x panel stay in registers
#include "kernels/parts.hpp"
#include "lanes/lanes.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

constexpr int kLanes = 16;

// What registers hold: the sums of a tile, the weights of two k, and one activation.
#if defined(HOMERUN_ISA_avx512_vnni)
constexpr int kTileRows = 12;
constexpr int tile_vectors(int rows) { return rows <= 5 ? 4 : 2; }
#else
constexpr int kTileRows = 6;
constexpr int tile_vectors(int rows) { return rows <= 2 ? 2 : 1; }
#endif

constexpr int kChunkRows = 20 * kTileRows;
constexpr int kGroupPanels = 4;
constexpr int kGroupColumns = kGroupPanels * kPanel;
// Floats from one row of a tile to the next: a cache line more than a block, so that the rows do not
// compete for one set of the L1 cache.
constexpr int kTileStride = kSumBlock + kLanes;

int smaller(int a, int b) { return a < b ? a : b; }
int parts_of(int count, int part) { return (count + part - 1) / part; }

struct Float16 {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

// Rows for bfloat16 weights are packed as bfloat16.
template <class Weight>
constexpr bool kRowsAreBFloat16 = sizeof(Weight) == 2;
template <>
constexpr bool kRowsAreBFloat16<Float16> = false;
// Whether a block used by several tiles is worth a widened copy.
template <class Weight>
constexpr bool kWidens = sizeof(Weight) == 2;

// The weights of 16 channels for k and k + 1. `panel` points to the panel's numbers of an even k,
// `channel` is a multiple of 16.
inline void load_two(const float* panel, int channel, F& first, F& second) {
  first = load(panel + channel);
  second = load(panel + kPanel + channel);
}
inline void load_two(const Float16* panel, int channel, F& first, F& second) {
  first = load_fp16(&panel[channel].bits);
  second = load_fp16(&panel[kPanel + channel].bits);
}
inline void load_two(const BFloat16* panel, int channel, F& first, F& second) {
  load_bf16_pairs(&panel[2 * channel].bits, first, second);
}

// Adds one block of k to the totals of Rows rows and Vectors · 16 channels, which begin in the panel
// `weights` points to, at `channel`.
// rows: [Rows][kTileStride]; totals: [Rows][kGroupColumns]; panel_size: from one panel to the next.
template <class Weight, int Rows, int Vectors>
void add_block(const Weight* weights, std::size_t panel_size, int channel, const float* rows,
               int length, float* totals, bool first_block) {
  constexpr int kPanelVectors = kPanel / kLanes;
  F sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) sums[r][v] = zero();

  for (int k = 0; k < length; k += 2) {
    F weight[2][Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++)
      load_two(weights + v / kPanelVectors * panel_size, channel + v % kPanelVectors * kLanes,
               weight[0][v], weight[1][v]);
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
#pragma GCC unroll 16
      for (int r = 0; r < Rows; r++) {
        const F activation = set(rows[r * kTileStride + k + i]);
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; v++) sums[r][v] = fma(activation, weight[i][v], sums[r][v]);
      }
    weights += 2 * kPanel;
  }

#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) {
      float* total = totals + r * kGroupColumns + v * kLanes;
      store(total, first_block ? sums[r][v] : add(load(total), sums[r][v]));
    }
}

// One block of k of a group of panels, wherever it lies: as packed, or widened to float.
template <class Weight>
struct GroupBlock {
  const Weight* weights;
  std::size_t panel_size;
  int panels;
  int length;
  bool first;
};

// Adds a block to the totals of a tile of Rows rows.
template <class Weight, int Rows>
void add_group(const GroupBlock<Weight>& block, const float* rows, float* totals) {
  constexpr int kVectors = tile_vectors(Rows);
  const int channels = block.panels * kPanel;
  int channel = 0;
  const auto add_vectors = [&]<int Vectors>() {
    add_block<Weight, Rows, Vectors>(block.weights + channel / kPanel * block.panel_size,
                                     block.panel_size, channel % kPanel, rows, block.length,
                                     totals + channel, block.first);
    channel += Vectors * kLanes;
  };
  while (channel + kVectors * kLanes <= channels) add_vectors.template operator()<kVectors>();
  if constexpr (kVectors * kLanes > kPanel)
    while (channel < channels) add_vectors.template operator()<kPanel / kLanes>();
}

// Calls add_group with the number of rows as a constant.
template <class Weight, int Rows = kTileRows>
void add_tile(int tile_rows, const GroupBlock<Weight>& block, const float* rows, float* totals) {
  if constexpr (Rows > 1)
    if (tile_rows < Rows) return add_tile<Weight, Rows - 1>(tile_rows, block, rows, totals);
  add_group<Weight, Rows>(block, rows, totals);
}

// `length` activations of a packed row from k on, as floats.
template <class Weight>
void load_row(const PackedRows& rows, int row, int k, int length, float* out) {
  const char* data = static_cast<const char*>(rows.data) + row * rows.stride;
  for (int i = 0; i < length; i += kLanes)
    if constexpr (kRowsAreBFloat16<Weight>)
      store(out + i, load_bf16(reinterpret_cast<const std::uint16_t*>(data) + k + i));
    else
      store(out + i, load(reinterpret_cast<const float*>(data) + k + i));
}

// One block of k of a panel, [length][32] floats.
template <class Weight>
void widen(const Weight* panel, int length, float* out) {
  for (int k = 0; k < length; k += 2, panel += 2 * kPanel, out += 2 * kPanel)
    for (int channel = 0; channel < kPanel; channel += kLanes) {
      F first, second;
      load_two(panel, channel, first, second);
      store(out + channel, first);
      store(out + kPanel + channel, second);
    }
}

void write_row(const Product& product, int row, int first_panel, int panels, const float* totals) {
  float* out = product.out + row * product.out_stride;
  const int end = smaller((first_panel + panels) * kPanel, product.weight->n);
  for (int channel = first_panel * kPanel; channel < end; channel += kLanes, totals += kLanes) {
    const int count = smaller(kLanes, end - channel);
    if (count == kLanes)
      store(out + channel, product.add ? add(load(out + channel), load(totals)) : load(totals));
    else
      store(out + channel,
            product.add ? add(load(out + channel, count), load(totals)) : load(totals), count);
  }
}

template <class Weight>
void multiply_chunk(const Product& product, int row_begin, int rows, int first_panel, int panels) {
  alignas(64) float totals[kChunkRows * kGroupColumns];
  alignas(64) float tile[kTileRows * kTileStride];
  alignas(64) float widened[kWidens<Weight> ? kGroupColumns * kSumBlock : 1];

  const LinearWeight& weight = *product.weight;
  const std::size_t panel_size = std::size_t{kPanel} * weight.padded_k;
  const Weight* group = static_cast<const Weight*>(weight.panels) + first_panel * panel_size;
  const int tiles = parts_of(rows, kTileRows);

  for (int k = 0; k < weight.padded_k; k += kSumBlock) {
    const int length = smaller(kSumBlock, weight.padded_k - k);
    const GroupBlock<Weight> packed{group + k * kPanel, panel_size, panels, length, k == 0};
    const GroupBlock<float> wide{widened, kPanel * kSumBlock, panels, length, k == 0};
    const bool use_wide = kWidens<Weight> && tiles > 1;
    if (use_wide)
      for (int p = 0; p < panels; p++)
        widen(packed.weights + p * panel_size, length, widened + p * wide.panel_size);

    int row = 0;
    for (int t = 0; t < tiles; t++) {
      const int tile_rows = parts_of(rows - row, tiles - t);
      for (int r = 0; r < tile_rows; r++)
        load_row<Weight>(product.rows, row_begin + row + r, k, length, tile + r * kTileStride);
      float* tile_totals = totals + row * kGroupColumns;
      if (use_wide)
        add_tile(tile_rows, wide, tile, tile_totals);
      else
        add_tile(tile_rows, packed, tile, tile_totals);
      row += tile_rows;
    }
  }
  for (int r = 0; r < rows; r++)
    write_row(product, row_begin + r, first_panel, panels, totals + r * kGroupColumns);
}

template <class Weight>
void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  const int chunks = parts_of(row_end - row_begin, kChunkRows);
  for (int c = 0; c < chunks; c++) {
    const int rows = parts_of(row_end - row_begin, chunks - c);
    for (int panel = panel_begin; panel < panel_end; panel += kGroupPanels)
      multiply_chunk<Weight>(product, row_begin, rows, panel,
                             smaller(kGroupPanels, panel_end - panel));
    row_begin += rows;
  }
}

// Copies a row into the packed rows, padded with zeros.
template <class Weight>
void pack_row(const LinearWeight& weight, const float* row, void* data, float*, std::int32_t*,
              Outliers*) {
  for (int k = 0; k < weight.padded_k; k += kLanes) {
    const int count = weight.k - k;
    const F x = count >= kLanes ? load(row + k) : count > 0 ? load(row + k, count) : zero();
    if constexpr (kRowsAreBFloat16<Weight>)
      store_bf16(static_cast<std::uint16_t*>(data) + k, x);
    else
      store(static_cast<float*>(data) + k, x);
  }
}

template <class Weight>
void fill_dtype(LinearKernels& kernels, DType dtype) {
  kernels.pack_row[static_cast<int>(dtype)] = pack_row<Weight>;
  kernels.multiply[static_cast<int>(dtype)] = multiply<Weight>;
}

}  // namespace

void fill(LinearKernels& kernels) {
  fill_dtype<float>(kernels, DType::fp32);
  fill_dtype<Float16>(kernels, DType::fp16);
  fill_dtype<BFloat16>(kernels, DType::bf16);
}

}  // namespace homerun::HOMERUN_ISA
