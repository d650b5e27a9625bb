// Products with int8 weights on AMX tiles: 16 x 16 sums, 64 k per instruction.
// The sums are exact, so the bytes are those of every other instruction set; rows are packed by the
// set before this one, and a packed panel is a row of tiles as it is.
#include <immintrin.h>

#include "kernels/int8/tile.hpp"
#include "kernels/parts.hpp"

namespace homerun::amx {
namespace {

constexpr int kTile = 16;          // rows, and channels, of a tile of sums
constexpr int kPairRows = 2 * kTile;
constexpr int kStep = 64;          // k of an instruction
// Below this the set before streams weights from memory as fast, without tiles.
constexpr int kFewestRows = 5;
// k whose weights (16 KiB of a panel) stay in the L1 cache while all rows pass.
constexpr int kPart = 512;
// Rows whose sums are kept between parts.
constexpr int kRows = 256;

void (*multiply_few_rows)(const Product& product, int row_begin, int row_end, int panel_begin,
                          int panel_end);

// The shapes of the eight tiles: sums of the upper 16 rows (0, 1: left, right channels), of the
// lower (2, 3); rows (4 upper, 5 lower); weights (6 left, 7 right).
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// The tiles are set up for `upper` and `lower` rows (each 1 to 16; lower may be 0).
class Tiles {
 public:
  ~Tiles() { _tile_release(); }

  void shape(int upper, int lower) {
    if (upper == upper_ && lower == lower_) return;
    upper_ = upper;
    lower_ = lower;
    TileShapes shapes;
    const int rows[8] = {upper, upper, lower, lower, upper, lower, kStep / 4, kStep / 4};
    for (int i = 0; i < 8; i++) {
      shapes.rows[i] = static_cast<std::uint8_t>(rows[i]);
      shapes.row_bytes[i] = rows[i] ? kStep : 0;
    }
    _tile_loadconfig(&shapes);
  }

 private:
  int upper_ = 0, lower_ = 0;
};

constexpr int kSumsStride = kPanel * sizeof(std::int32_t);
constexpr int kWeightsStride = kPanel * 4;  // from 4 k to the next

// sums (+)= rows · weights over k numbers. `lower`: whether there are more than 16 rows.
template <bool lower>
void add_products(const std::int8_t* x, std::size_t stride, const std::uint8_t* weights, int k,
                  bool first, std::int32_t* sums, const std::uint8_t*& ahead, int ahead_lines) {
  std::int32_t* lower_sums = sums + kTile * kPanel;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (lower) {
      _tile_zero(2);
      _tile_zero(3);
    }
  } else {
    _tile_loadd(0, sums, kSumsStride);
    _tile_loadd(1, sums + kTile, kSumsStride);
    if constexpr (lower) {
      _tile_loadd(2, lower_sums, kSumsStride);
      _tile_loadd(3, lower_sums + kTile, kSumsStride);
    }
  }
  for (int i = 0; i < k; i += kStep) {
    for (int line = 0; line < ahead_lines; line++, ahead += kLine)
      __builtin_prefetch(ahead, 0, 2);
    _tile_loadd(6, weights + i * kPanel, kWeightsStride);
    _tile_loadd(4, x + i, stride);
    _tile_loadd(7, weights + i * kPanel + kTile * 4, kWeightsStride);
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    if constexpr (lower) {
      _tile_loadd(5, x + kTile * stride + i, stride);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
  }
  _tile_stored(0, sums, kSumsStride);
  _tile_stored(1, sums + kTile, kSumsStride);
  if constexpr (lower) {
    _tile_stored(2, lower_sums, kSumsStride);
    _tile_stored(3, lower_sums + kTile, kSumsStride);
  }
}

// to[channel] = (or +=) (sum + offset) · row_scale · scale, for the 32 channels of a row.
void scale_row(const std::int32_t* sums, std::int32_t offset, float row_scale, const float* scales,
               float* to, bool add) {
  for (int half = 0; half < kPanel; half += 16) {
    const __m512i sum =
        _mm512_add_epi32(_mm512_load_si512(sums + half), _mm512_set1_epi32(offset));
    const __m512 scaled =
        _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(row_scale)),
                      _mm512_loadu_ps(scales + half));
    _mm512_storeu_ps(to + half, add ? _mm512_add_ps(_mm512_loadu_ps(to + half), scaled) : scaled);
  }
}

// Up to kRows rows times one panel.
class PanelProduct {
 public:
  PanelProduct(const Product& product, int row, int rows, Tiles& tiles)
      : product_(product), weight_(*product.weight), row_(row), rows_(rows), tiles_(tiles),
        pairs_((rows + kPairRows - 1) / kPairRows), group_(sum_group(weight_)),
        sum_groups_(groups(weight_, group_)) {
    for (int r = row; r < row + rows; r++) outliers_ |= product.rows.outliers[r].count > 0;
  }

  // `ahead`: what will be wanted next, or null.
  void run(int panel, const std::uint8_t* ahead) {
    panel_ = panel;
    const int channels = smaller(kPanel, weight_.n - panel * kPanel);
    float* out = product_.out + row_ * product_.out_stride + panel * kPanel;
    // Results are complete before they are added to something.
    const bool in_place =
        channels == kPanel && (!product_.add || (sum_groups_ == 1 && !outliers_));
    to_ = in_place ? out : results_;
    to_stride_ = in_place ? product_.out_stride : kPanel;
    add_first_ = in_place && product_.add;

    const int steps = pairs_ * (weight_.padded_k / kStep);
    const int lines = weight_.padded_k / (kLine / kPanel);
    ahead_ = ahead;
    ahead_lines_ = ahead ? (lines + steps - 1) / steps : 0;
    ahead_end_ = ahead ? ahead + weight_.padded_k * kPanel : nullptr;

    for (int begin = 0; begin < weight_.padded_k; begin = end_of_part(begin))
      for (int pair = 0; pair < pairs_; pair++)
        run_part(rows_ * pair / pairs_, rows_ * (pair + 1) / pairs_, begin, end_of_part(begin));

    if (outliers_)
      for (int r = 0; r < rows_; r++)
        add_outliers(product_.rows.outliers[row_ + r], weight_, panel, to_ + r * to_stride_);
    if (in_place) return;
    for (int r = 0; r < rows_; r++)
      for (int c = 0; c < channels; c++) {
        float& result = out[r * product_.out_stride + c];
        const float value = results_[r * kPanel + c];
        result = product_.add ? result + value : value;
      }
  }

 private:
  // A part is whole groups, or a piece of one.
  int end_of_part(int begin) const {
    const int group_end = (begin / group_ + 1) * group_;
    const int end = group_ <= kPart ? begin + kPart / group_ * group_
                                    : smaller(group_end, begin + kPart);
    return smaller(end, weight_.padded_k);
  }

  void run_part(int row_begin, int row_end, int begin, int end) {
    const int rows = row_end - row_begin;
    const int upper = smaller(rows, kTile);
    tiles_.shape(upper, rows - upper);
    std::int32_t* sums = sums_ + row_begin * kPanel;
    const auto* x = static_cast<const std::int8_t*>(product_.rows.data) +
                    (row_ + row_begin) * product_.rows.stride;
    const auto* weights = static_cast<const std::uint8_t*>(weight_.panels) +
                          static_cast<std::size_t>(panel_) * weight_.padded_k * kPanel;
    while (begin < end) {
      const int group_end = smaller((begin / group_ + 1) * group_, weight_.padded_k);
      const int stop = smaller(end, group_end);
      const auto add = rows > kTile ? add_products<true> : add_products<false>;
      add(x + begin, product_.rows.stride, weights + begin * kPanel, stop - begin,
          begin % group_ == 0, sums, ahead_, ahead_ < ahead_end_ ? ahead_lines_ : 0);
      if (stop == group_end) scale(row_begin, row_end, begin / group_ * group_);
      begin = stop;
    }
  }

  // The sums of the group of k that starts at `begin` are complete.
  void scale(int row_begin, int row_end, int begin) {
    const int row_groups = groups(weight_, weight_.activation_group);
    const int channel_groups = groups(weight_, weight_.weight_group);
    const int row_group = weight_.activation_group ? begin / weight_.activation_group : 0;
    const int channel_group = weight_.weight_group ? begin / weight_.weight_group : 0;
    const float* scales = weight_.scales + (panel_ * channel_groups + channel_group) * kPanel;
    for (int r = row_begin; r < row_end; r++)
      scale_row(sums_ + r * kPanel,
                product_.rows.offsets[(row_ + r) * sum_groups_ + begin / group_],
                product_.rows.scales[(row_ + r) * row_groups + row_group], scales,
                to_ + r * to_stride_, begin > 0 || add_first_);
  }

  const Product& product_;
  const LinearWeight& weight_;
  const int row_, rows_;
  Tiles& tiles_;
  const int pairs_;  // of tiles, one below the other
  const int group_, sum_groups_;
  bool outliers_ = false;
  int panel_ = 0;
  float* to_ = nullptr;
  std::size_t to_stride_ = 0;
  bool add_first_ = false;
  const std::uint8_t *ahead_ = nullptr, *ahead_end_ = nullptr;
  int ahead_lines_ = 0;
  alignas(64) std::int32_t sums_[kRows * kPanel];
  alignas(64) float results_[kRows * kPanel];
};

void multiply(const Product& product, int row_begin, int row_end, int panel_begin,
              int panel_end) {
  if (row_end - row_begin < kFewestRows)
    return multiply_few_rows(product, row_begin, row_end, panel_begin, panel_end);
  Tiles tiles;
  const auto* panels = static_cast<const std::uint8_t*>(product.weight->panels);
  const std::size_t panel_size = static_cast<std::size_t>(product.weight->padded_k) * kPanel;
  for (int row = row_begin; row < row_end; row += kRows) {
    PanelProduct rows(product, row, smaller(kRows, row_end - row), tiles);
    for (int panel = panel_begin; panel < panel_end; panel++)
      rows.run(panel, panel + 1 < panel_end ? panels + (panel + 1) * panel_size : nullptr);
  }
}

}  // namespace

void fill_int8(LinearKernels& kernels) {
  auto& entry = kernels.multiply[static_cast<int>(DType::int8)];
  if (entry != multiply) multiply_few_rows = entry;
  entry = multiply;
}

}  // namespace homerun::amx
