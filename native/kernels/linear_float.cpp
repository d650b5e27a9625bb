// Products with float32, float16 and bfloat16 weights, on lanes: the same bytes everywhere.
//
// A result is a total over blocks of kSumBlock k, added in order; the sum of a block is one chain
// of fused multiply-adds in order of k. Nothing else decides its bytes, so rows and panels may be
// grouped as the caches and registers like it:
//
//   group of panels
//     chunk of rows                        its totals stay in the L2 cache
//       block of k                         the block of the group stays in the L2 cache
//         tile of rows                     its block of activations stays in the L1 cache
//           panels of the group            sums of a tile times a panel stay in registers
#include "kernels/parts.hpp"
#include "kernels/numbers.hpp"
#include "kernels/streams.hpp"

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
// Floats from one row of a tile to the next: a cache line more than a block, so that the rows do
// not compete for one set of the L1 cache.
constexpr int kTileStride = kSumBlock + kLanes;

// Rows for bfloat16 weights are packed as bfloat16.
template <class Weight>
constexpr bool kRowsAreBFloat16 = sizeof(Weight) == 2;
template <>
constexpr bool kRowsAreBFloat16<Float16> = false;

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

// What to have in the L2 cache soon; only addresses, which need not exist. For every two k
// add_block asks for `lines` lines of the weights and one of the rows: in all for a slice of the
// weights, and for the blocks of up to kAheadRows rows.
constexpr int kLine = 64;
constexpr int kAheadRows = 8;
struct Ahead {
  const char* weights;
  int lines;
  const char* rows;
  std::size_t row_stride;
};

// Few rows read weights as fast as they come: each panel in hand is a stream, of which they want so
// many bytes in the L1 cache already.
template <int Rows>
constexpr bool kAsksAhead = Rows > 2 && tile_vectors(Rows) * kLanes <= kPanel;
constexpr int kStreamAhead = 2048;

inline void prefetch(const void* p) { __builtin_prefetch(p, 0, 2); }

#if defined(HOMERUN_ISA_avx512_vnni)
// Not the intrinsic: with it GCC 12 copies sums from one register to another all the time.
inline void multiply_add(F& sum, F weight, F activation) {
  asm("vfmadd231ps %2, %1, %0" : "+v"(sum.v) : "v"(weight.v), "v"(activation.v));
}
#else
inline void multiply_add(F& sum, F weight, F activation) { sum = fma(activation, weight, sum); }
#endif

// Adds one block of k to the totals of Rows rows and Vectors · 16 channels, which begin in the
// panel `weights` points to, at `channel`.
// rows: [Rows][kTileStride]; totals: [Rows][kGroupColumns]; panel_size: from one panel to the next.
template <class Weight, int Rows, int Vectors>
void add_block(const Weight* weights, std::size_t panel_size, int channel, const float* rows,
               int length, float* totals, bool first_block, const Ahead& ahead) {
  constexpr int kPanelVectors = kPanel / kLanes;
  F sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) sums[r][v] = zero();

  const char *ahead_weights = ahead.weights, *ahead_rows = ahead.rows;
  const std::size_t next_row = ahead.row_stride - 15 * kLine;
  for (int k = 0; k < length; k += 2) {
    if constexpr (kAsksAhead<Rows>) {
      for (int line = 0; line < ahead.lines; line++, ahead_weights += kLine)
        prefetch(ahead_weights);
      prefetch(ahead_rows);
      ahead_rows += k % 32 == 30 ? next_row : kLine;
    } else {
      for (int panel = 0; panel < parts_of(Vectors, kPanelVectors); panel++)
        expect(weights + panel * panel_size, 2 * kPanel * sizeof(Weight), kStreamAhead);
    }
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
        for (int v = 0; v < Vectors; v++) multiply_add(sums[r][v], weight[i][v], activation);
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

// One block of k of a group of panels, and what will be read after it: by the next tile of rows,
// and by the first tile of the next block.
template <class Weight>
struct Block {
  const Weight* weights;       // of the first panel; the others follow at panel_size
  const Weight* next_weights;
  std::size_t panel_size;
  int panels;
  int length;
  bool first;
};
struct Tile {
  const float* rows;   // [Rows][kTileStride]
  float* totals;       // [Rows][kGroupColumns]
  const char* next_rows;
  std::size_t next_row_stride;
  int index, tiles;    // of the chunk
};

// Adds a block to the totals of a tile of Rows rows.
template <class Weight, int Rows>
void add_group(const Block<Weight>& block, const Tile& tile) {
  constexpr int kVectors = tile_vectors(Rows);
  constexpr int kLinesRead = 2 * smaller(kPanel, kVectors * kLanes) * sizeof(Weight) / kLine;
  // The tiles share the work of asking for the next block, in slices of the same size.
  const int lines = smaller(kLinesRead, parts_of(kLinesRead, tile.tiles));
  const int slice_weights = lines * (kSumBlock / 2 * kLine / sizeof(Weight));
  const int slices_per_panel = kSumBlock * kPanel / slice_weights;
  const int channels = block.panels * kPanel;
  int slice = tile.index * parts_of(channels, kVectors * kLanes);
  int channel = 0;
  const char* next_rows = tile.next_rows;
  const auto add_vectors = [&]<int Vectors>() {
    const bool left = slice < block.panels * slices_per_panel;
    const Weight* ahead = block.next_weights + slice / slices_per_panel * block.panel_size +
                          slice % slices_per_panel * slice_weights;
    add_block<Weight, Rows, Vectors>(
        block.weights + channel / kPanel * block.panel_size, block.panel_size, channel % kPanel,
        tile.rows, block.length, tile.totals + channel, block.first,
        {reinterpret_cast<const char*>(ahead), left ? lines : 0, next_rows, tile.next_row_stride});
    channel += Vectors * kLanes;
    slice++;
    next_rows += kAheadRows * tile.next_row_stride;
  };
  while (channel + kVectors * kLanes <= channels) add_vectors.template operator()<kVectors>();
  if constexpr (kVectors * kLanes > kPanel)
    while (channel < channels) add_vectors.template operator()<kPanel / kLanes>();
}

// Calls add_group with the number of rows as a constant.
template <class Weight, int Rows = kTileRows>
void add_tile(int tile_rows, const Block<Weight>& block, const Tile& tile) {
  if constexpr (Rows > 1)
    if (tile_rows < Rows) return add_tile<Weight, Rows - 1>(tile_rows, block, tile);
  add_group<Weight, Rows>(block, tile);
}

// Where the activations of a packed row begin that belong to k.
template <class Weight>
const char* packed_row(const PackedRows& rows, int row, int k) {
  constexpr int kSize = kRowsAreBFloat16<Weight> ? sizeof(std::uint16_t) : sizeof(float);
  return static_cast<const char*>(rows.data) + row * rows.stride + k * kSize;
}

// `length` activations of a packed row from k on, as floats.
template <class Weight>
void load_row(const PackedRows& rows, int row, int k, int length, float* out) {
  const void* packed = packed_row<Weight>(rows, row, k);
  for (int i = 0; i < length; i += kLanes)
    if constexpr (kRowsAreBFloat16<Weight>)
      store(out + i, load_bf16(static_cast<const std::uint16_t*>(packed) + i));
    else
      store(out + i, load(static_cast<const float*>(packed) + i));
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

// Rows of a chunk times the panels of a group. `next_group` is what will be multiplied after it.
template <class Weight>
void multiply_chunk(const Product& product, int row_begin, int rows, int first_panel, int panels,
                    const Weight* next_group) {
  alignas(64) float totals[kChunkRows * kGroupColumns];
  alignas(64) float activations[kTileRows * kTileStride];

  const LinearWeight& weight = *product.weight;
  const std::size_t panel_size = std::size_t{kPanel} * weight.padded_k;
  const Weight* group = static_cast<const Weight*>(weight.panels) + first_panel * panel_size;
  const int tiles = parts_of(rows, kTileRows);
  for (int k = 0; k < weight.padded_k; k += kSumBlock) {
    const bool last = k + kSumBlock >= weight.padded_k;
    const Block<Weight> block{group + k * kPanel,
                              last ? next_group : group + (k + kSumBlock) * kPanel,
                              panel_size,
                              panels,
                              smaller(kSumBlock, weight.padded_k - k),
                              k == 0};
    int row = 0;
    for (int t = 0; t < tiles; t++) {
      const int tile_rows = parts_of(rows - row, tiles - t);
      for (int r = 0; r < tile_rows; r++)
        load_row<Weight>(product.rows, row_begin + row + r, k, block.length,
                         activations + r * kTileStride);
      const int next_row = row + tile_rows;
      const char* next_rows = packed_row<Weight>(product.rows, row_begin + next_row, k);
      add_tile(tile_rows, block,
               {activations, totals + row * kGroupColumns, next_rows, product.rows.stride,
                t, tiles});
      row = next_row;
    }
  }
  for (int r = 0; r < rows; r++)
    write_row(product, row_begin + r, first_panel, panels, totals + r * kGroupColumns);
}

template <class Weight>
void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  const std::size_t panel_size = std::size_t{kPanel} * product.weight->padded_k;
  const Weight* weights = static_cast<const Weight*>(product.weight->panels);
  const int chunks = parts_of(row_end - row_begin, kChunkRows);
  for (int panel = panel_begin; panel < panel_end; panel += kGroupPanels) {
    const int panels = smaller(kGroupPanels, panel_end - panel);
    int row = row_begin;
    for (int c = 0; c < chunks; c++) {
      const int rows = parts_of(row_end - row, chunks - c);
      const int next_panel = c + 1 < chunks ? panel : panel + panels;
      multiply_chunk<Weight>(product, row, rows, panel, panels,
                             weights + next_panel * panel_size);
      row += rows;
    }
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
