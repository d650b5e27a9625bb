// Low-rank additions, on lanes: the same bytes on every instruction set, for any grouping of rows.
#include "kernels/lora.hpp"

#include "kernels/numbers.hpp"
#include "kernels/parts.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

constexpr int kLanes = 16;
static_assert(kRankStep == kLanes);

// What registers hold: sums of some rows times a group of ranks, or times some vectors of columns.
#if defined(HOMERUN_ISA_avx512_vnni)
constexpr int kShrinkRows = 6, kExpandRows = 6, kExpandPanels = 2;
#else
constexpr int kShrinkRows = 1, kExpandRows = 2, kExpandPanels = 1;
#endif

// Numbers of B that are widened at once, for all rows: they stay in the L1 cache meanwhile.
constexpr int kWidened = 8 << 10;
// A row that is alone with its factors reads them from memory as fast as it computes. It asks so many
// bytes ahead: the hardware's own prefetch stops at the end of every 4 KiB page. Where tiles have one
// row anyway that would be asked again and again.
constexpr int kAhead = 4 << 10;
constexpr bool kAsksAhead = kShrinkRows > 1;

template <int Numbers, class Factor>
void ask_ahead(const Factor* from) {
  for (unsigned i = 0; i < Numbers * sizeof(Factor); i += 64)
    __builtin_prefetch(reinterpret_cast<const char*>(from) + kAhead + i, 0, 2);
}

template <class Factor>
void widen(const Factor* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; i += kLanes) store(to + i, load_numbers(from + i));
}

// t[row][r] = (Σ_k a[r][k] · x[row][k]) · scalings[r] for Rows rows and Ranks ranks.
// a: [k / 16][Ranks][16], padded with zeros; t: [Rows], to the first of the ranks.
template <class Factor, int Ranks, int Rows>
void shrink_tile(const Factor* a, const float* const* x, int k, const float* scalings,
                 float* const* t, int first_rank) {
  F sums[Rows][Ranks];
#pragma GCC unroll 8
  for (int row = 0; row < Rows; row++)
#pragma GCC unroll 4
    for (int r = 0; r < Ranks; r++) sums[row][r] = zero();

  const auto step = [&](auto load_x) {
    if constexpr (kAsksAhead && Rows == 1) ask_ahead<Ranks * kLanes>(a);
    F factors[Ranks];
#pragma GCC unroll 4
    for (int r = 0; r < Ranks; r++) factors[r] = load_numbers(a + r * kLanes);
#pragma GCC unroll 8
    for (int row = 0; row < Rows; row++) {
      const F v = load_x(x[row]);
#pragma GCC unroll 4
      for (int r = 0; r < Ranks; r++) sums[row][r] = fma(factors[r], v, sums[row][r]);
    }
    a += Ranks * kLanes;
  };
  int i = 0;
  for (; i + kLanes <= k; i += kLanes) step([&](const float* row) { return load(row + i); });
  if (i < k) step([&](const float* row) { return load(row + i, k - i); });

  for (int row = 0; row < Rows; row++)
    for (int r = 0; r < Ranks; r++)
      t[row][first_rank + r] = sum(sums[row][r]) * scalings[r];
}

// shrink_tile with the numbers of ranks and rows as constants. A last group of fewer ranks takes its
// rows one by one: it is rare, and a kernel for each number of both is not worth its size.
template <class Factor, int Ranks = kRankGroup, int Rows = kShrinkRows>
void shrink_group(const Factor* a, int ranks, const float* const* x, int rows, int k,
                  const float* scalings, float* const* t, int first_rank) {
  if constexpr (Ranks > 1)
    if (ranks < Ranks)
      return shrink_group<Factor, Ranks - 1, 1>(a, ranks, x, rows, k, scalings, t, first_rank);
  if constexpr (Rows > 1)
    if (rows < Rows)
      return shrink_group<Factor, Ranks, Rows - 1>(a, ranks, x, rows, k, scalings, t, first_rank);
  for (int row = 0; row < rows; row += Rows)
    shrink_tile<Factor, Ranks, Rows>(a, x + row, k, scalings, t + row, first_rank);
}

template <class Factor>
void shrink(const LoraPlace& place, int rank_begin, int rank_end, const float* const* x, int rows,
            float* const* t) {
  const std::size_t padded_k = std::size_t(parts_of(place.k, kRankStep)) * kRankStep;
  const Factor* a = static_cast<const Factor*>(place.a);
  const int tiles = parts_of(rows, kShrinkRows);
  int row = 0;
  for (int tile = 0; tile < tiles; tile++) {
    const int tile_rows = parts_of(rows - row, tiles - tile);
    for (int r = rank_begin; r < rank_end; r += kRankGroup)
      shrink_group<Factor>(a + r * padded_k, smaller(kRankGroup, rank_end - r), x + row, tile_rows,
                           place.k, place.scalings + r, t + row, r);
    row += tile_rows;
  }
}

// Rows times whole panels of columns; b: of the first one.
template <class Factor, int Rows, int Panels>
void add_panels(const Factor* b, int ranks, const float* const* t, float* const* out, int column,
                int begin, int end) {
  constexpr int kVectors = Panels * kPanel / kLanes;
  F sums[Rows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < Rows; row++)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) sums[row][v] = zero();
  for (int r = 0; r < ranks; r++) {
    if constexpr (kAsksAhead && Rows == 1) ask_ahead<Panels * kPanel>(b + r * Panels * kPanel);
    F factors[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++)
      factors[v] = load_numbers(b + v * kLanes / kPanel * ranks * kPanel + r * kPanel +
                               v * kLanes % kPanel);
#pragma GCC unroll 8
    for (int row = 0; row < Rows; row++) {
      const F s = set(t[row][r]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) sums[row][v] = fma(s, factors[v], sums[row][v]);
    }
  }
  const bool whole = begin <= column && column + Panels * kPanel <= end;
  if (whole) {
#pragma GCC unroll 8
    for (int row = 0; row < Rows; row++)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) {
        float* to = out[row] + column + v * kLanes;
        store(to, add(load(to), sums[row][v]));
      }
    return;
  }
  float some[Rows][Panels * kPanel];
#pragma GCC unroll 8
  for (int row = 0; row < Rows; row++)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) store(some[row] + v * kLanes, sums[row][v]);
  for (int row = 0; row < Rows; row++)
    for (int i = 0; i < Panels * kPanel; i++)
      if (begin <= column + i && column + i < end) out[row][column + i] += some[row][i];
}

template <int Panels, int Rows = kExpandRows, class Factor>
void add_rows(const Factor* b, int ranks, const float* const* t, float* const* out, int rows,
              int column, int begin, int end) {
  if constexpr (Rows > 1)
    if (rows < Rows)
      return add_rows<Panels, Rows - 1>(b, ranks, t, out, rows, column, begin, end);
  add_panels<Factor, Rows, Panels>(b, ranks, t, out, column, begin, end);
}

template <class Factor>
void expand(const LoraPart& part, int begin, int end, const float* const* t, int rows,
            float* const* out) {
  begin = begin > part.first_column ? begin - part.first_column : 0;
  end = smaller(part.columns, end - part.first_column);
  const float* first_t[kMostLoraRows];
  float* first_out[kMostLoraRows];
  for (int row = 0; row < rows; row++) {
    first_t[row] = t[row] + part.first_rank;
    first_out[row] = out[row] + part.first_column;
  }
  const std::size_t panel_size = std::size_t(part.ranks) * kPanel;
  const Factor* all = static_cast<const Factor*>(part.b);
  const int tiles = parts_of(rows, kExpandRows);
  // Panels [panel, end_panel), whose factors begin at b. Along a row first: rows of a result lie far
  // apart and compete for a few sets of the caches.
  const auto add_block = [&](const auto* b, int panel, int end_panel) {
    for (int tile = 0, row = 0; tile < tiles; tile++) {
      const int tile_rows = parts_of(rows - row, tiles - tile);
      int p = panel;
      for (; p + kExpandPanels <= end_panel; p += kExpandPanels)
        add_rows<kExpandPanels>(b + (p - panel) * panel_size, part.ranks, first_t + row,
                                first_out + row, tile_rows, p * kPanel, begin, end);
      for (; p < end_panel; p++)
        add_rows<1>(b + (p - panel) * panel_size, part.ranks, first_t + row, first_out + row,
                    tile_rows, p * kPanel, begin, end);
      row += tile_rows;
    }
  };
  const int last = parts_of(end, kPanel);
  const int widened_panels = kWidened / static_cast<int>(panel_size) / kExpandPanels * kExpandPanels;
  if (tiles == 1 || sizeof(Factor) == sizeof(float) || widened_panels == 0)
    return add_block(all + begin / kPanel * panel_size, begin / kPanel, last);
  alignas(64) float widened[kWidened];
  for (int panel = begin / kPanel; panel < last; panel += widened_panels) {
    const int stop = smaller(last, panel + widened_panels);
    widen(all + panel * panel_size, (stop - panel) * panel_size, widened);
    add_block(widened, panel, stop);
  }
}

template <class Factor>
void fill_dtype(LoraKernels& kernels, DType dtype) {
  kernels.shrink[static_cast<int>(dtype)] = shrink<Factor>;
  kernels.expand[static_cast<int>(dtype)] = expand<Factor>;
}

}  // namespace

void fill(LoraKernels& kernels) {
  fill_dtype<float>(kernels, DType::fp32);
  fill_dtype<Float16>(kernels, DType::fp16);
  fill_dtype<BFloat16>(kernels, DType::bf16);
}

}  // namespace homerun::HOMERUN_ISA
