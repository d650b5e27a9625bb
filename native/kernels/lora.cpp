// Low-rank additions, on lanes: the same bytes on every instruction set, for any grouping of rows.
#include "kernels/lora.hpp"

#include "kernels/parts.hpp"
#include "lanes/lanes.hpp"

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

constexpr int kMostRows = 48;
// k of A that are widened at once, when enough rows use them: a group's stay in the L1 cache beside
// those of a tile of rows.
constexpr int kBlock = 1024;
// Ranks up to which the columns of a tile are widened at once.
constexpr int kWidenedRanks = 64;

struct Float16 {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};
inline F load_factor(const float* p) { return load(p); }
inline F load_factor(const Float16* p) { return load_fp16(&p->bits); }
inline F load_factor(const BFloat16* p) { return load_bf16(&p->bits); }

template <class Factor>
void widen(const Factor* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; i += kLanes) store(to + i, load_factor(from + i));
}

// sums[row][r] += a · x over `length` k, of which a has a multiple of 16, padded with zeros.
// a: [k / 16][Ranks][16].
template <class Factor, int Ranks, int Rows>
void add_products(const Factor* a, const float* const* x, int k, int length, float* sums,
                  std::size_t row_stride, bool first) {
  F s[Rows][Ranks];
#pragma GCC unroll 8
  for (int row = 0; row < Rows; row++)
#pragma GCC unroll 4
    for (int r = 0; r < Ranks; r++)
      s[row][r] = first ? zero() : load(sums + row * row_stride + r * kLanes);

  const auto step = [&](auto load_x) {
    F factors[Ranks];
#pragma GCC unroll 4
    for (int r = 0; r < Ranks; r++) factors[r] = load_factor(a + r * kLanes);
#pragma GCC unroll 8
    for (int row = 0; row < Rows; row++) {
      const F v = load_x(x[row]);
#pragma GCC unroll 4
      for (int r = 0; r < Ranks; r++) s[row][r] = fma(factors[r], v, s[row][r]);
    }
    a += Ranks * kLanes;
  };
  int i = k;
  const int end = k + length;
  for (; i + kLanes <= end; i += kLanes) step([&](const float* row) { return load(row + i); });
  if (i < end) step([&](const float* row) { return load(row + i, end - i); });

#pragma GCC unroll 8
  for (int row = 0; row < Rows; row++)
#pragma GCC unroll 4
    for (int r = 0; r < Ranks; r++) store(sums + row * row_stride + r * kLanes, s[row][r]);
}

// add_products with the numbers of ranks and rows as constants. A last group of fewer ranks takes its
// rows one by one: it is rare, and a kernel for each number of both is not worth its size.
template <class Factor, int Ranks = kRankGroup, int Rows = kShrinkRows>
void add_tile(const Factor* a, int ranks, const float* const* x, int rows, int k, int length,
              float* sums, std::size_t row_stride, bool first) {
  if constexpr (Ranks > 1)
    if (ranks < Ranks)
      return add_tile<Factor, Ranks - 1, 1>(a, ranks, x, rows, k, length, sums, row_stride, first);
  if constexpr (Rows > 1)
    if (rows < Rows)
      return add_tile<Factor, Ranks, Rows - 1>(a, ranks, x, rows, k, length, sums, row_stride,
                                               first);
  for (int row = 0; row < rows; row += Rows)
    add_products<Factor, Ranks, Rows>(a, x + row, k, length, sums + row * row_stride, row_stride,
                                      first);
}

std::size_t scratch_floats(int ranks, int rows) {
  return std::size_t(kLanes) * ranks * rows + kRankGroup * kBlock;
}

template <class Factor>
void shrink(const LoraPlace& place, int rank_begin, int rank_end, const float* const* x, int rows,
            float* const* t, float* scratch) {
  const std::size_t padded_k = std::size_t(parts_of(place.k, kRankStep)) * kRankStep;
  const int ranks = rank_end - rank_begin;
  const std::size_t row_stride = std::size_t(kLanes) * ranks;
  float* sums = scratch;
  float* widened = scratch + row_stride * rows;
  const int tiles = parts_of(rows, kShrinkRows);
  // Few rows read A once, in order; more rows have it widened once for all of them.
  const bool widens = tiles > 1 && sizeof(Factor) < sizeof(float);
  const int block = tiles > 1 ? kBlock : place.k;
  for (int k = 0; k < place.k; k += block) {
    const int length = smaller(block, place.k - k);
    for (int r = rank_begin; r < rank_end; r += kRankGroup) {
      const int group = smaller(kRankGroup, rank_end - r);
      const Factor* a = static_cast<const Factor*>(place.a) + r * padded_k + k * group;
      if (widens)
        widen(a, std::size_t(parts_of(length, kRankStep)) * kRankStep * group, widened);
      int row = 0;
      for (int tile = 0; tile < tiles; tile++) {
        const int tile_rows = parts_of(rows - row, tiles - tile);
        float* tile_sums = sums + row * row_stride + (r - rank_begin) * kLanes;
        if (widens)
          add_tile<float>(widened, group, x + row, tile_rows, k, length, tile_sums, row_stride,
                          k == 0);
        else
          add_tile<Factor>(a, group, x + row, tile_rows, k, length, tile_sums, row_stride, k == 0);
        row += tile_rows;
      }
    }
  }
  for (int row = 0; row < rows; row++)
    for (int r = 0; r < ranks; r++)
      t[row][rank_begin + r] =
          sum(load(sums + row * row_stride + r * kLanes)) * place.scalings[rank_begin + r];
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
    F factors[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++)
      factors[v] = load_factor(b + v * kLanes / kPanel * ranks * kPanel + r * kPanel +
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

template <class Factor, int Panels, int Rows = kExpandRows>
void add_rows(const Factor* b, int ranks, const float* const* t, float* const* out, int rows,
              int column, int begin, int end) {
  if constexpr (Rows > 1)
    if (rows < Rows)
      return add_rows<Factor, Panels, Rows - 1>(b, ranks, t, out, rows, column, begin, end);
  add_panels<Factor, Rows, Panels>(b, ranks, t, out, column, begin, end);
}

template <class Factor>
void expand(const LoraPart& part, int begin, int end, const float* const* t, int rows,
            float* const* out) {
  begin = begin > part.first_column ? begin - part.first_column : 0;
  end = smaller(part.columns, end - part.first_column);
  alignas(64) float widened[kExpandPanels * kPanel * kWidenedRanks];
  const float* first_t[kMostRows];
  float* first_out[kMostRows];
  for (int row = 0; row < rows; row++) {
    first_t[row] = t[row] + part.first_rank;
    first_out[row] = out[row] + part.first_column;
  }
  const int tiles = parts_of(rows, kExpandRows);
  const bool widens =
      tiles > 1 && sizeof(Factor) < sizeof(float) && part.ranks <= kWidenedRanks;
  const std::size_t panel_size = std::size_t(part.ranks) * kPanel;
  const auto add_some = [&]<int Panels>(int column) {
    const Factor* b = static_cast<const Factor*>(part.b) + column / kPanel * panel_size;
    if (widens) widen(b, Panels * panel_size, widened);
    int row = 0;
    for (int tile = 0; tile < tiles; tile++) {
      const int tile_rows = parts_of(rows - row, tiles - tile);
      if (widens)
        add_rows<float, Panels>(widened, part.ranks, first_t + row, first_out + row, tile_rows,
                                column, begin, end);
      else
        add_rows<Factor, Panels>(b, part.ranks, first_t + row, first_out + row, tile_rows, column,
                                 begin, end);
      row += tile_rows;
    }
  };
  int column = begin / kPanel * kPanel;
  for (; column + (kExpandPanels - 1) * kPanel < end; column += kExpandPanels * kPanel)
    add_some.template operator()<kExpandPanels>(column);
  if constexpr (kExpandPanels > 1)
    for (; column < end; column += kPanel) add_some.template operator()<1>(column);
}

template <class Factor>
void fill_dtype(LoraKernels& kernels, DType dtype) {
  kernels.shrink[static_cast<int>(dtype)] = shrink<Factor>;
  kernels.expand[static_cast<int>(dtype)] = expand<Factor>;
}

}  // namespace

void fill(LoraKernels& kernels) {
  kernels.most_rows = kMostRows;
  kernels.scratch_floats = scratch_floats;
  fill_dtype<float>(kernels, DType::fp32);
  fill_dtype<Float16>(kernels, DType::fp16);
  fill_dtype<BFloat16>(kernels, DType::bf16);
}

}  // namespace homerun::HOMERUN_ISA
