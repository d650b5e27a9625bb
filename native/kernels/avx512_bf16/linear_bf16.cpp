// Products with bfloat16 weights by vdpbf16ps: two k per instruction and channel.
// A sum is one chain of that instruction in order of k, whatever the number of rows; it is kept
// exactly between parts of K. Rows are packed by the set before this one.
//
//   group of panels
//     chunk of rows         its sums stay in the L2 cache
//       part of K           the weights of the group stay in the L2 cache
//         tile of rows      its part of the activations stays in the L1 cache
//           panels          sums of a tile times a panel stay in registers
#include <immintrin.h>

#include "kernels/parts.hpp"
#include "kernels/streams.hpp"

namespace homerun::avx512_bf16 {
namespace {

constexpr int kLanes = 16;
constexpr int kPanelVectors = kPanel / kLanes;
constexpr int kLine = 64;
constexpr int kPart = 512;
constexpr int kTileRows = 12;
constexpr int kChunkRows = 20 * kTileRows;
constexpr int kGroupPanels = 4;
constexpr int kGroupColumns = kGroupPanels * kPanel;
// From one row of a tile to the next: a cache line more than a part, so that the rows do not
// compete for one set of the L1 cache.
constexpr int kTileStride = kPart + kLine / 2;
// A tile that is alone with its panel asks so many bytes ahead. Few rows read two panels as fast as
// they come: two streams, of which they want so many bytes in the L1 cache already.
constexpr int kAhead = 4096;
constexpr int kStreamAhead = 2048;

// Channels of a tile of sums, in vectors: few rows take two panels, for more sums under way and
// two streams from memory.
constexpr int tile_vectors(int rows) { return rows <= 5 ? 4 : 2; }

// What to have in the L2 cache soon, so many lines per two k. Only addresses.
struct Ahead {
  const char* next;
  int lines;
};

// sum += pairs of weights · a pair of activations. Written out because GCC 12 moves the sums of a
// large tile to memory and back if it is the intrinsic.
inline void add_products(__m512& sum, __m512i weights, __m512i activations) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(activations));
}

// Adds one part of K to the sums of Rows rows and Vectors · 16 channels.
// rows [Rows][kTileStride]; sums [Rows][kGroupColumns]; panel_size: from one panel to the next.
template <int Rows, int Vectors>
void add_part(const std::uint16_t* weights, std::size_t panel_size, const std::uint16_t* rows,
              int length, bool first, float* sums, Ahead ahead) {
  __m512 tile[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++)
      tile[r][v] =
          first ? _mm512_setzero_ps() : _mm512_load_ps(sums + r * kGroupColumns + v * kLanes);

  for (int k = 0; k < length; k += 2) {
    for (int line = 0; line < ahead.lines; line++, ahead.next += kLine)
      __builtin_prefetch(ahead.next, 0, 2);
    if constexpr (Vectors > kPanelVectors)
      for (int panel = 0; panel < Vectors / kPanelVectors; panel++)
        expect(weights + panel * panel_size, 2 * kPanel * sizeof *weights, kStreamAhead);
    __m512i weight[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++)
      weight[v] = _mm512_loadu_si512(weights + v / kPanelVectors * panel_size +
                                     v % kPanelVectors * 2 * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      std::int32_t pair;
      __builtin_memcpy(&pair, rows + r * kTileStride + k, sizeof pair);
      const __m512i activations = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; v++) add_products(tile[r][v], weight[v], activations);
    }
    weights += 2 * kPanel;
  }

#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++)
      _mm512_store_ps(sums + r * kGroupColumns + v * kLanes, tile[r][v]);
}

// A part of K of a group of panels.
struct Part {
  const std::uint16_t* weights;  // of the first panel; the others follow at panel_size
  std::size_t panel_size;
  int panels;
  int length;
  bool first;
  const std::uint16_t* next;     // the weights that are read after it, likewise
};

// Adds a part to the sums of tile number `tile` of `tiles`, of Rows rows.
template <int Rows>
void add_group(const Part& part, const std::uint16_t* rows, float* sums, int tile, int tiles) {
  constexpr int kVectors = tile_vectors(Rows);
  int panel = 0;
  const auto add_vectors = [&]<int Vectors>() {
    const std::uint16_t* weights = part.weights + panel * part.panel_size;
    Ahead ahead{reinterpret_cast<const char*>(weights), 0};
    if (Vectors <= kPanelVectors && tiles == 1) {
      ahead = {ahead.next + kAhead, 2};
    } else if (tile < 2) {  // two tiles share the work of asking for the next part
      const auto* next = reinterpret_cast<const char*>(part.next + panel * part.panel_size);
      if (tiles > 1) ahead = {next + tile * kPart / 2 * kLine, 1};
    }
    add_part<Rows, Vectors>(weights, part.panel_size, rows, part.length, part.first,
                            sums + panel * kPanel, ahead);
    panel += Vectors / kPanelVectors;
  };
  while (panel + kVectors / kPanelVectors <= part.panels)
    add_vectors.template operator()<kVectors>();
  if constexpr (kVectors > kPanelVectors)
    while (panel < part.panels) add_vectors.template operator()<kPanelVectors>();
}

// Calls add_group with the number of rows as a constant.
template <int Rows = kTileRows>
void add_tile(int tile_rows, const Part& part, const std::uint16_t* rows, float* sums, int tile,
              int tiles) {
  if constexpr (Rows > 1)
    if (tile_rows < Rows) return add_tile<Rows - 1>(tile_rows, part, rows, sums, tile, tiles);
  add_group<Rows>(part, rows, sums, tile, tiles);
}

void copy_row(const PackedRows& rows, int row, int k, int length, std::uint16_t* to) {
  const char* data = static_cast<const char*>(rows.data) + row * rows.stride + k * sizeof *to;
  __builtin_memcpy(to, data, length * sizeof *to);
}

void write_row(const Product& product, int row, int first_panel, int panels, const float* sums) {
  float* out = product.out + row * product.out_stride;
  const int end = smaller((first_panel + panels) * kPanel, product.weight->n);
  for (int channel = first_panel * kPanel; channel < end; channel += kLanes, sums += kLanes) {
    const int count = smaller(kLanes, end - channel);
    const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1);
    __m512 result = _mm512_load_ps(sums);
    if (product.add) result = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out + channel), result);
    _mm512_mask_storeu_ps(out + channel, mask, result);
  }
}

void multiply_chunk(const Product& product, int row_begin, int rows, int first_panel, int panels) {
  alignas(64) float sums[kChunkRows * kGroupColumns];
  alignas(64) std::uint16_t activations[kTileRows * kTileStride];

  const LinearWeight& weight = *product.weight;
  const std::size_t panel_size = std::size_t{kPanel} * weight.padded_k;
  const auto* group = static_cast<const std::uint16_t*>(weight.panels) + first_panel * panel_size;
  const int tiles = parts_of(rows, kTileRows);

  for (int k = 0; k < weight.padded_k; k += kPart) {
    const int length = smaller(kPart, weight.padded_k - k);
    const bool last = k + kPart >= weight.padded_k;
    const Part part{group + k * kPanel, panel_size, panels, length, k == 0,
                    last ? group + panels * panel_size : group + (k + kPart) * kPanel};
    for (int tile = 0, row = 0; tile < tiles; tile++) {
      const int tile_rows = parts_of(rows - row, tiles - tile);
      for (int r = 0; r < tile_rows; r++)
        copy_row(product.rows, row_begin + row + r, k, length, activations + r * kTileStride);
      add_tile(tile_rows, part, activations, sums + row * kGroupColumns, tile, tiles);
      row += tile_rows;
    }
  }
  for (int r = 0; r < rows; r++)
    write_row(product, row_begin + r, first_panel, panels, sums + r * kGroupColumns);
}

void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  const int chunks = parts_of(row_end - row_begin, kChunkRows);
  for (int panel = panel_begin; panel < panel_end; panel += kGroupPanels)
    for (int c = 0, row = row_begin; c < chunks; c++) {
      const int rows = parts_of(row_end - row, chunks - c);
      multiply_chunk(product, row, rows, panel, smaller(kGroupPanels, panel_end - panel));
      row += rows;
    }
}

}  // namespace

void fill(LinearKernels& kernels) { kernels.multiply[static_cast<int>(DType::bf16)] = multiply; }

}  // namespace homerun::avx512_bf16
