// What adapters add to rows of results (LoRA), made while the sums wait in the L2 cache: so results
// are written once. The same chains as LoraKernels::expand, and so the same bytes.
#pragma once

#include "kernels/lora.hpp"
#include "kernels/numbers.hpp"

namespace homerun::HOMERUN_ISA::tiled {
namespace {

constexpr int kGroupPanels = 16;  // that wait together

class Additions {
 public:
  explicit Additions(const LoraRow* rows) : rows_(rows) {}

  // Makes what is added to panels [panel_begin, panel_end), at most kGroupPanels, of the rows from
  // `row` on: of as many as it returns, at least one.
  int make(int row, int row_end, int panel_begin, int panel_end) {
    made_ = rows_ && rows_[row].place;
    if (!made_) return 1;
    const LoraPlace& place = *rows_[row].place;
    int rows = 1;
    while (rows < kRows && row + rows < row_end && rows_[row + rows].place == &place) rows++;
    // Rows with other factors between them are few: they read them as they are.
    if (rows == kRows && (widened_place_ != &place || widened_panel_ != panel_begin))
      widen(place, panel_begin, panel_end);
    const bool widened = widened_place_ == &place && widened_panel_ == panel_begin;
    for (int panel = panel_begin; panel < panel_end;) {
      const LoraPart* part = part_of(place, panel);
      int end = panel + 1;
      while (end < panel_end && end < panel + kPanels && part_of(place, end) == part) end++;
      if (end < panel + kPanels) end = panel + 1;
      float* to = made_rows_ + (panel - panel_begin) * kPanel;
      if (!part)
        add_nothing(rows, end - panel, to);
      else if (widened && part->ranks <= kWidenedRanks)
        add_rows(widened_ + (panel - panel_begin) * kWidenedPanel, kWidenedPanel, *part, row, rows,
                 end - panel, to);
      else
        add_factors(place.dtype, *part, panel, row, rows, end - panel, to);
      panel = end;
    }
    return rows;
  }

  // Of the i-th row that was made: [panel][32], or null.
  const float* of(int i) const { return made_ ? made_rows_ + i * kMade : nullptr; }

 private:
  static constexpr int kRows = 3, kPanels = 4;  // whose sums registers hold
  static constexpr int kVector = 16;
  static constexpr int kMade = kGroupPanels * kPanel;
  static constexpr int kWidenedRanks = 32, kWidenedPanel = kWidenedRanks * kPanel;

  static const LoraPart* part_of(const LoraPlace& place, int panel) {
    for (int p = 0; p < place.part_count; p++) {
      const LoraPart& part = place.parts[p];
      const int column = panel * kPanel - part.first_column;
      if (0 <= column && column < part.columns) return &part;
    }
    return nullptr;
  }

  // Calls use(factors of the part at `panel`), as the type they have.
  template <class Use>
  static void with_factors(DType dtype, const LoraPart& part, int panel, const Use& use) {
    const std::size_t first =
        std::size_t(panel - part.first_column / kPanel) * part.ranks * kPanel;
    if (dtype == DType::fp16) return use(static_cast<const Float16*>(part.b) + first);
    if (dtype == DType::bf16) return use(static_cast<const BFloat16*>(part.b) + first);
    use(static_cast<const float*>(part.b) + first);
  }

  void widen(const LoraPlace& place, int panel_begin, int panel_end) {
    for (int panel = panel_begin; panel < panel_end; panel++) {
      const LoraPart* part = part_of(place, panel);
      if (!part || part->ranks > kWidenedRanks) continue;
      float* to = widened_ + (panel - panel_begin) * kWidenedPanel;
      with_factors(place.dtype, *part, panel, [&](const auto* from) {
        for (int i = 0; i < part->ranks * kPanel; i += kVector)
          store(to + i, load_numbers(from + i));
      });
    }
    widened_place_ = &place;
    widened_panel_ = panel_begin;
  }

  // What changes no number when it is added.
  static void add_nothing(int rows, int panels, float* to) {
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < panels * kPanel; v += kVector) store(to + i * kMade + v, set(-0.0f));
  }

  void add_factors(DType dtype, const LoraPart& part, int panel, int row, int rows, int panels,
                   float* to) const {
    with_factors(dtype, part, panel, [&](const auto* from) {
      add_rows(from, part.ranks * kPanel, part, row, rows, panels, to);
    });
  }

  // to[row][panel][32] = Σ_r t[row][r] · factors[panel][r][32]; `stride`: numbers of a panel.
  template <int Rows = kRows, class Factors>
  void add_rows(const Factors* from, int stride, const LoraPart& part, int row, int rows,
                int panels, float* to) const {
    if constexpr (Rows > 1)
      if (rows < Rows) return add_rows<Rows - 1>(from, stride, part, row, rows, panels, to);
    if (panels == kPanels)
      add<Rows, kPanels>(from, stride, part, row, to);
    else
      add<Rows, 1>(from, stride, part, row, to);
  }

  template <int Rows, int Panels, class Factors>
  void add(const Factors* from, int stride, const LoraPart& part, int row, float* to) const {
    F sums[Rows][2 * Panels];
#pragma GCC unroll 3
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
      for (int v = 0; v < 2 * Panels; v++) sums[i][v] = zero();
    const float* t[Rows];
    for (int i = 0; i < Rows; i++) t[i] = rows_[row + i].t + part.first_rank;
    for (int r = 0; r < part.ranks; r++) {
      F s[Rows];
#pragma GCC unroll 3
      for (int i = 0; i < Rows; i++) s[i] = set(t[i][r]);
#pragma GCC unroll 8
      for (int v = 0; v < 2 * Panels; v++) {
        const F factors = load_numbers(from + v / 2 * stride + r * kPanel + v % 2 * kVector);
#pragma GCC unroll 3
        for (int i = 0; i < Rows; i++) sums[i][v] = fma(s[i], factors, sums[i][v]);
      }
    }
#pragma GCC unroll 3
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 8
      for (int v = 0; v < 2 * Panels; v++)
        store(to + i * kMade + v * kVector, sums[i][v]);
  }

  const LoraRow* rows_;
  bool made_ = false;
  const LoraPlace* widened_place_ = nullptr;
  int widened_panel_ = 0;
  alignas(64) float made_rows_[kRows * kMade];
  alignas(64) float widened_[kGroupPanels * kWidenedPanel];
};

}  // namespace
}  // namespace homerun::HOMERUN_ISA::tiled
