// How a product is cut into pieces for the threads, and the memory its packed rows live in.
// Knows caches and threads; the arithmetic is in kernels/, and no cut made here changes a result.
#include "ops/linear.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "kernels/kernels.hpp"
#include "ops/clock.hpp"
#include "ops/scratch.hpp"
#include "plain_floats.hpp"
#include "thread_pool.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace homerun {
namespace {

// What products need besides their arguments. For who has the turn.
struct Workspace {
  Scratch rows, scales, offsets, outliers, floats, lines, inputs;
};

Workspace& workspace() {
  // Never destroyed: a thread may still compute while the process ends.
  static Workspace& one = *new Workspace;
  return one;
}

std::size_t l2_bytes() {
  static const std::size_t size = [] {
    long bytes = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return bytes > 0 ? static_cast<std::size_t>(bytes) : std::size_t{1} << 20;
  }();
  return size;
}

// Bytes of a packed number of a row. (Those for float16 weights are a float, or two of bfloat16.)
constexpr std::size_t packed_bytes(DType dtype) {
  return dtype == DType::int8 ? 1 : dtype == DType::bf16 ? 2 : 4;
}

// An odd number of cache lines: neighbouring rows then use all sets of a cache evenly.
std::size_t row_stride(const LinearWeight& weight) {
  const std::size_t lines =
      round_up(weight.padded_k * packed_bytes(weight.dtype), kLine) / kLine;
  return (lines | 1) * kLine;
}

// The size of blocks of about equal size, at most `most` (or one `unit` more), in whole units.
int even_block(int rows, int most, int unit) {
  if (rows <= most) return rows;
  return static_cast<int>(round_up(parts_of(rows, parts_of(rows, most)), unit));
}

// Rows that are multiplied with a panel before the next panel is read: as many as stay in the L2
// cache beside this panel and the next, in blocks of about equal size. Float kernels and those that
// want tiles cut K to that end; the latter are given a step of prefill and some rows of decoding.
int rows_per_block(const LinearWeight& weight, int rows, const PackedRows& packed) {
  constexpr int kFewest = 32, kMostTiled = 288;
  if (packed.tile_rows) return even_block(rows, kMostTiled, kFewest);
  if (weight.dtype != DType::int8) return rows;
  const std::size_t l2 = l2_bytes();
  const std::size_t panels = 2 * bytes_of(weight.dtype) * kPanel * weight.padded_k;
  const std::size_t room = std::max(l2 / 4, panels < l2 ? (l2 - panels) / 8 * 7 : 0);
  const int most = std::max<int>(kFewest, static_cast<int>(room / packed.stride));
  return even_block(rows, most, kFewest);
}

// A rough guess of the time of `panels` panels, on the small side.
double microseconds(const LinearWeight& weight, int rows, int panels) {
  constexpr double kBytes = 60e3, kProducts = 400e3;  // per microsecond and thread
  const double numbers = static_cast<double>(panels) * kPanel * weight.padded_k;
  const std::size_t size = bytes_of(weight.dtype);
  return std::max(numbers * size / kBytes, numbers * size * rows / kProducts);
}

// Calls body(index, thread) for index < count: on the pool, or right here if the pieces are too
// small to wake others for.
template <class Body>
void spread(int count, bool alone, const Body& body) {
  if (alone || count == 1) {
    for (int i = 0; i < count; i++) body(i, 0);
  } else {
    pool().run(count, [&](std::int64_t i, int thread) { body(static_cast<int>(i), thread); });
  }
}

struct Call {
  const LinearWeight& weight;
  const Prologue& prologue;
  const float* x;
  std::size_t x_stride;
  int rows;
};

// The row of the product's input: in x itself, or made in `made`.
const float* input_row(const Call& call, int row, float* made) {
  const float* x = call.x + row * call.x_stride;
  const int k = call.weight.k;
  switch (call.prologue.kind) {
    case Prologue::none:
      return x;
    case Prologue::rms_norm:
      kernels().elementwise.rms_norm(x, call.prologue.norm_weight, call.prologue.eps, k, made);
      return made;
    case Prologue::gated:
      kernels().elementwise.gated(x, call.prologue.activation, k, made);
      return made;
  }
  std::abort();
}

// Puts a packed row among the tiles.
void place_in_tiles(const char* row, std::size_t bytes, char* tiles, const PackedRows& rows,
                    int index) {
  char* to = tiles + index / kRowTile * rows.stride + index % kRowTile * kRowTileBytes;
  for (std::size_t i = 0; i < bytes; i += kRowTileBytes)
    std::memcpy(to + i * rows.tile_rows, row + i, kRowTileBytes);
}

// The rows that adapters want, as they are before they are packed: in x, or kept in `kept`.
struct Inputs {
  const float* rows;
  std::size_t stride;
  float* kept;
};

Inputs inputs(const Call& call, Workspace& space) {
  if (call.prologue.kind == Prologue::none) return {call.x, call.x_stride, nullptr};
  // A cache line more than the row, so that rows do not compete for one set of a cache.
  const std::size_t stride = round_up(call.weight.k, kLine / sizeof(float)) + kLine / sizeof(float);
  auto* kept = static_cast<float*>(space.inputs.get(call.rows * stride * sizeof(float)));
  return {kept, stride, kept};
}

// `lora` and `kept`: whose rows to keep, or null.
PackedRows pack_rows(const Call& call, Workspace& space, const LoraProduct* lora,
                     const Inputs& kept) {
  const LinearWeight& weight = call.weight;
  const bool integers = weight.dtype == DType::int8;
  const std::size_t row_bytes = weight.padded_k * packed_bytes(weight.dtype);
  const auto fewest = kernels().linear.fewest_tiled[static_cast<int>(weight.dtype)];
  const int fewest_tiled = fewest ? fewest(weight) : 0;
  const bool tiled = fewest_tiled && call.rows >= fewest_tiled;
  const int tile_rows = tiled ? std::min(call.rows, kRowTile) : 0;
  const std::size_t stride = tiled ? tile_rows * row_bytes : row_stride(weight);
  const int scales_per_row = integers ? groups(weight, weight.activation_group) : 0;
  const int offsets_per_row = integers ? groups(weight, sum_group(weight)) : 0;

  const int strides = tiled ? parts_of(call.rows, kRowTile) : call.rows;
  auto* data = static_cast<char*>(space.rows.get(strides * stride));
  auto* scales =
      static_cast<float*>(space.scales.get(call.rows * scales_per_row * sizeof(float)));
  auto* offsets = static_cast<std::int32_t*>(
      space.offsets.get(call.rows * offsets_per_row * sizeof(std::int32_t)));
  auto* outliers =
      static_cast<Outliers*>(space.outliers.get(call.rows * sizeof(Outliers)));
  const std::size_t width = round_up(weight.padded_k, kLine / sizeof(float));
  auto* floats = static_cast<float*>(space.floats.get(pool().threads() * width * sizeof(float)));
  auto* lines = static_cast<char*>(space.lines.get(tiled ? pool().threads() * row_bytes : 0));
  const PackedRows packed{data, stride, tile_rows, scales, offsets, outliers};

  // About 1 ns per four numbers; a row is never worth cutting.
  constexpr int kPieceNumbers = 16 << 10;
  const int piece = std::max(1, kPieceNumbers / weight.padded_k);
  const bool alone = call.rows <= 2 * piece;
  spread(parts_of(call.rows, piece), alone, [&](int index, int thread) {
    const int end = std::min(call.rows, (index + 1) * piece);
    for (int row = index * piece; row < end; row++) {
      const bool keep = lora && kept.kept && lora->wants(row);
      float* made = keep ? kept.kept + row * kept.stride : floats + thread * width;
      const float* input = input_row(call, row, made);
      char* to = tiled ? lines + thread * row_bytes : data + row * stride;
      kernels().linear.pack_row[static_cast<int>(weight.dtype)](
          weight, input, to, scales + row * scales_per_row,
          offsets + row * offsets_per_row, outliers + row);
      if (tiled) place_in_tiles(to, row_bytes, data, packed, row);
    }
  });
  return packed;
}

// Boundaries of pieces of `count` panels: large ones first, so that a thread reads long stretches
// of memory, then smaller ones, so that the threads end together.
class Pieces {
 public:
  Pieces(int count, int threads, int smallest) {
    while (bounds_[pieces_] < count) {
      const int left = count - bounds_[pieces_];
      const bool last = pieces_ + 1 == kMost;
      const int size = last ? left : std::max(smallest, left / (2 * threads));
      bounds_[pieces_ + 1] = bounds_[pieces_] + std::min(size, left);
      pieces_++;
    }
  }
  int count() const { return pieces_; }
  int begin(int piece) const { return bounds_[piece]; }
  int end(int piece) const { return bounds_[piece + 1]; }

 private:
  static constexpr int kMost = 1024;
  int pieces_ = 0;
  int bounds_[kMost + 1] = {};
};

void multiply(const Product& product, int rows, const LoraProduct* lora) {
  const LinearWeight& weight = *product.weight;
  const auto multiply_part = kernels().linear.multiply[static_cast<int>(weight.dtype)];
  // What adapters add follows at once: the part is still in the L2 cache if it is of so many
  // numbers, and whole groups of panels are no slower in pieces.
  constexpr int kPartNumbers = 1 << 17, kPartPanels = 16;
  const auto kernel = [&](int row_begin, int row_end, int panel_begin, int panel_end) {
    if (!lora) return multiply_part(product, row_begin, row_end, panel_begin, panel_end);
    const int step = std::max(kPartPanels, kPartNumbers / kPanel / (row_end - row_begin));
    for (int panel = panel_begin; panel < panel_end; panel += step) {
      const int end = std::min(panel_end, panel + step);
      multiply_part(product, row_begin, row_end, panel, end);
      lora->expand(row_begin, row_end, panel * kPanel, std::min(end * kPanel, weight.n),
                   product.out, product.out_stride);
    }
  };
  const int panels = parts_of(weight.n, kPanel);
  const int threads = pool().threads();

  // Below this the threads would wait for each other longer than they compute.
  constexpr double kAlone = 4, kSmallest = 4;  // microseconds
  const double whole = microseconds(weight, rows, panels);
  const int block = rows_per_block(weight, rows, product.rows);
  if (whole < kAlone || threads == 1) {
    for (int row = 0; row < rows; row += block)
      kernel(row, std::min(rows, row + block), 0, panels);
    return;
  }
  // All panels of one block of rows before the next block, which then takes its place in L2.
  const int blocks = parts_of(rows, block);
  const int smallest = static_cast<int>(kSmallest * panels * blocks / whole) + 1;
  const Pieces pieces(panels, threads, std::min(smallest, parts_of(panels, threads)));
  pool().run(std::int64_t{blocks} * pieces.count(), [&](std::int64_t index, int) {
    const int piece = static_cast<int>(index % pieces.count());
    const int row = static_cast<int>(index / pieces.count()) * block;
    kernel(row, std::min(rows, row + block), pieces.begin(piece), pieces.end(piece));
  });
}

// Whether results are better written past the caches: so many that whoever reads them finds them in
// memory anyway, so that no line of them is read before it is written.
bool past_caches(const float* out, std::size_t stride, int rows) {
  const auto address = reinterpret_cast<std::uintptr_t>(out);
  return address % kLine == 0 && stride * sizeof(float) % kLine == 0 &&
         rows * stride * sizeof(float) >= 2 * l2_bytes();
}

}  // namespace

bool linear_available(DType dtype) {
  const LinearKernels& linear = kernels().linear;
  const int index = static_cast<int>(dtype);
  return linear.pack_row[index] && linear.multiply[index];
}

void linear(const LinearWeight& weight, const Prologue& prologue, const float* x,
            std::size_t x_stride, int rows, float* out, std::size_t out_stride, bool add,
            const LoraSegment* segments, int segment_count) {
  assert(linear_available(weight.dtype));
  // More rows at once save nothing, and would need more memory: as floats more still.
  const int most_rows = segment_count ? 1 << 10 : 16 << 10;
  const Timed timed(Work::linear, std::int64_t{rows} * weight.n * weight.k);
  const PlainFloats plain;
  const Turn mine;
  Workspace& space = workspace();
  for (int row = 0; row < rows; row += most_rows) {
    const Call call{weight, prologue, x + row * x_stride, x_stride,
                    std::min(most_rows, rows - row)};
    std::optional<LoraProduct> additions;
    if (segment_count) additions.emplace(segments, segment_count, row, call.rows);
    LoraProduct* lora = additions && !additions->empty() ? &*additions : nullptr;
    const Inputs kept = lora ? inputs(call, space) : Inputs{};
    const PackedRows packed = pack_rows(call, space, lora, kept);
    if (lora) lora->shrink(kept.rows, kept.stride);
    float* to = out + row * out_stride;
    const LoraRow* by_row = lora && packed.tile_rows ? lora->by_row(weight.n) : nullptr;
    if (by_row) lora = nullptr;
    const bool past = !add && !lora && past_caches(to, out_stride, call.rows);
    multiply({&weight, packed, to, out_stride, add, past, by_row}, call.rows, lora);
  }
}

}  // namespace homerun
