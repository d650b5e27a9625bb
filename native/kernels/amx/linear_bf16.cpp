// Products with bfloat16 weights on AMX tiles: 16 x 16 sums, 32 k per instruction.
// The order of a sum is the instruction's, the same for every row of every tile, and sums are kept
// exactly between parts of K: so here too a row's bytes depend on nothing but the row. Rows are
// packed by the set before this one.
//
//   group of panels
//     chunk of rows            its sums stay in the L2 cache, as does its part of K
//       part of K, panel       the weights stay in the L1 cache
//         pair of row tiles    2 x 2 tiles of sums
#include <immintrin.h>

#include "kernels/amx/tiles.hpp"
#include "kernels/parts.hpp"

namespace homerun::amx {
namespace {

constexpr int kPairRows = 2 * kTile;
constexpr int kStep = 32;  // k of an instruction
constexpr int kPart = 256;
constexpr int kChunkRows = 256;
constexpr int kGroupPanels = 8;
constexpr int kLine = 64;
// Lines of a panel that one step reads.
constexpr int kStepLines = kStep * kPanel * 2 / kLine;
// A pair that is alone with its panel reads from memory as fast as it computes: it asks so many
// bytes ahead, into the panels that follow.
constexpr int kAhead = 8192;

constexpr int smaller(int a, int b) { return a < b ? a : b; }
constexpr int parts_of(int count, int part) { return (count + part - 1) / part; }

constexpr int kSumsStride = kPanel * sizeof(float);
constexpr int kWeightsStride = kPanel * 4;  // from 2 k to the next

// What to have in the L2 cache soon, so many lines per step. Only addresses.
struct Ahead {
  const char* next;
  int lines;
};

// sums [rows][32] = (or +=, unless `first`) rows · weights over `steps` steps of k.
// kLower: whether there are more than 16 rows.
template <bool kLower>
void add_products(const std::uint16_t* x, std::size_t stride, const std::uint16_t* weights,
                  int steps, bool first, float* sums, Ahead& ahead) {
  float* lower_sums = sums + kTile * kPanel;
  const std::uint16_t* lower_x = x + kTile * stride / sizeof *x;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kLower) {
      _tile_zero(2);
      _tile_zero(3);
    }
  } else {
    _tile_loadd(0, sums, kSumsStride);
    _tile_loadd(1, sums + kTile, kSumsStride);
    if constexpr (kLower) {
      _tile_loadd(2, lower_sums, kSumsStride);
      _tile_loadd(3, lower_sums + kTile, kSumsStride);
    }
  }
  for (int step = 0; step < steps; step++) {
    for (int line = 0; line < ahead.lines; line++, ahead.next += kLine)
      __builtin_prefetch(ahead.next, 0, 2);
    _tile_loadd(6, weights, kWeightsStride);
    _tile_loadd(4, x + step * kStep, stride);
    _tile_loadd(7, weights + 2 * kTile, kWeightsStride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kLower) {
      _tile_loadd(5, lower_x + step * kStep, stride);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    weights += kStep * kPanel;
  }
  _tile_stored(0, sums, kSumsStride);
  _tile_stored(1, sums + kTile, kSumsStride);
  if constexpr (kLower) {
    _tile_stored(2, lower_sums, kSumsStride);
    _tile_stored(3, lower_sums + kTile, kSumsStride);
  }
}

// The 32 sums of a row and a panel to where they belong.
void write_sums(const Product& product, int row, int panel, const float* sums) {
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

// Rows of a chunk times the panels of a group.
void multiply_chunk(const Product& product, int row_begin, int rows, int first_panel, int panels,
                    Tiles& tiles) {
  alignas(64) float sums[kGroupPanels][kChunkRows * kPanel];

  const LinearWeight& weight = *product.weight;
  const std::size_t panel_size = std::size_t{kPanel} * weight.padded_k;
  const auto* group = static_cast<const std::uint16_t*>(weight.panels) + first_panel * panel_size;
  const int pairs = parts_of(rows, kPairRows);
  const int part = pairs == 1 ? weight.padded_k : kPart;

  for (int k = 0; k < weight.padded_k; k += part) {
    const int steps = smaller(part, weight.padded_k - k) / kStep;
    for (int p = 0; p < panels; p++) {
      const std::uint16_t* weights = group + p * panel_size + k * kPanel;
      // The pairs share the work of asking for what is read after this part of the panel.
      Ahead ahead{reinterpret_cast<const char*>(weights) + kAhead, kStepLines};
      if (pairs > 1) {
        const bool last = p + 1 == panels;
        const bool end = last && k + part >= weight.padded_k;
        const std::uint16_t* next = end    ? group + panels * panel_size
                                    : last ? group + (k + part) * kPanel
                                           : weights + panel_size;
        ahead = {reinterpret_cast<const char*>(next), parts_of(kStepLines, pairs)};
      }
      for (int pair = 0; pair < pairs; pair++) {
        const int begin = rows * pair / pairs, end = rows * (pair + 1) / pairs;
        const int upper = smaller(end - begin, kTile), lower = end - begin - upper;
        const char* x = static_cast<const char*>(product.rows.data) +
                        (row_begin + begin) * product.rows.stride + k * sizeof(std::uint16_t);
        tiles.shape(upper, lower);
        const auto add = lower ? add_products<true> : add_products<false>;
        add(reinterpret_cast<const std::uint16_t*>(x), product.rows.stride, weights, steps, k == 0,
            sums[p] + begin * kPanel, ahead);
      }
    }
  }
  for (int r = 0; r < rows; r++)
    for (int p = 0; p < panels; p++)
      write_sums(product, row_begin + r, first_panel + p, sums[p] + r * kPanel);
}

void multiply(const Product& product, int row_begin, int row_end, int panel_begin, int panel_end) {
  Tiles tiles;
  const int chunks = parts_of(row_end - row_begin, kChunkRows);
  for (int panel = panel_begin; panel < panel_end; panel += kGroupPanels)
    for (int c = 0, row = row_begin; c < chunks; c++) {
      const int rows = parts_of(row_end - row, chunks - c);
      multiply_chunk(product, row, rows, panel, smaller(kGroupPanels, panel_end - panel), tiles);
      row += rows;
    }
}

}  // namespace

void fill(LinearKernels& kernels) { kernels.multiply[static_cast<int>(DType::bf16)] = multiply; }

}  // namespace homerun::amx
