// Attention of some query rows over one tile of the paged cache.
// Knows one KV head of one sequence; which rows and tiles make an item of work is ops/'s affair.
//
// Both products are register tiles over the same loop: a vector of the cache (16 positions of a
// key feature, 16 features of a value) is loaded once for up to kMaxRows query rows, each of which
// broadcasts one number. A lane of an accumulator is one score, or one feature of one output, and
// runs through a single chain of fma in order of the features, or positions. So tiling never shows.
// A row is never multiplied with a value that it may not see: that could be an infinity.
#include <type_traits>

#include "kernels/parts.hpp"
#include "lanes/lanes.hpp"

namespace homerun::HOMERUN_ISA {
namespace {

#if defined(HOMERUN_ISA_avx512_vnni)
constexpr int kAccumulators = 24;  // of 32 registers
constexpr int kMaxRows = 8;
#else
constexpr int kAccumulators = 6;  // an F takes two of AVX2's 16 registers, four of NEON's 32
constexpr int kMaxRows = 6;
#endif

// Widened panels of keys or values should stay in the L1 cache.
constexpr int kPanelBytes = 32 * 1024;

struct Fp16 {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

inline F read(const float* p) { return load(p); }
inline F read(const Fp16* p) { return load_fp16(&p->bits); }
inline F read(const Bf16* p) { return load_bf16(&p->bits); }
inline F read(const float* p, int n) { return load(p, n); }
inline F read(const Fp16* p, int n) { return load_fp16(&p->bits, n); }
inline F read(const Bf16* p, int n) { return load_bf16(&p->bits, n); }
inline void write(float* p, F v) { store(p, v); }
inline void write(Fp16* p, F v) { store_fp16(&p->bits, v); }
inline void write(Bf16* p, F v) { store_bf16(&p->bits, v); }
inline void write(float* p, F v, int n) { store(p, v, n); }
inline void write(Fp16* p, F v, int n) { store_fp16(&p->bits, v, n); }
inline void write(Bf16* p, F v, int n) { store_bf16(&p->bits, v, n); }

inline int min_of(int a, int b) { return a < b ? a : b; }
inline int max_of(int a, int b) { return a > b ? a : b; }

// Vectors of the cache to hold against `rows` rows: a power of two. More than 4 streams of memory
// are slower.
constexpr int vectors_for(int rows) {
  int vectors = 4;
  while (vectors > 1 && vectors * rows > kAccumulators) vectors /= 2;
  return vectors;
}

// Calls body with the constant that equals `rows`, which is in 1 … kMaxRows.
template <int kRows>
struct Rows {
  static constexpr int value = kRows;
};
template <int kRows = kMaxRows, class Body>
inline void with_rows(int rows, const Body& body) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return with_rows<kRows - 1>(rows, body);
  }
  body(Rows<kRows>{});
}

// Blocks of keys or values. Those that stream through, read once each, ask the memory for the block
// `ahead` of the one in hand: at[b] is defined so much further.
template <class Element, bool kStream>
struct Blocks {
  const Element* const* at;
  int ahead;

  Blocks from(int block) const { return {at + block, ahead}; }
  void expect(int block, int offset) const {
    if constexpr (kStream) __builtin_prefetch(at[block + ahead] + offset, 0, kIntoL2);
  }
  static constexpr int kIntoL2 = 2;
};

// scores[row][block · 16 + lane] for kBlocks blocks of keys at once; where fewer are left the last
// one is computed again and not stored.
template <int kRows, int kBlocks, class Keys>
void score_blocks(const float* queries, int head_dim, Keys keys, int blocks, float* scores) {
  F sums[kRows][kBlocks];
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; b++)
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) sums[r][b] = zero();
  std::remove_cvref_t<decltype(keys.at[0])> key[kBlocks];
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; b++) key[b] = keys.at[min_of(b, blocks - 1)];
  for (int d = 0; d < head_dim; d++) {
    F query[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) query[r] = set(queries[r * head_dim + d]);
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; b++) {
      keys.expect(b, d * kBlock);
      const F column = read(key[b] + d * kBlock);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) sums[r][b] = fma(query[r], column, sums[r][b]);
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; b++) {
    if (b == blocks) break;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) store(scores + r * kTile + b * kBlock, sums[r][b]);
  }
}

template <int kRows, class Keys>
void score(const float* queries, int head_dim, Keys keys, int blocks, float* scores) {
  constexpr int kBlocks = vectors_for(kRows);
  for (int b = 0; b < blocks; b += kBlocks)
    score_blocks<kRows, kBlocks>(queries, head_dim, keys.from(b), min_of(kBlocks, blocks - b),
                                 scores + b * kBlock);
}

// output[row][first … + kVectors · 16] += weights[row][position] · values[position] for positions
// begin ≤ position < end of the blocks in `values`. If kTail, one vector of only `tail` features.
template <int kRows, int kVectors, bool kTail, class Values>
void add_features(const float* weights, int head_dim, Values values, int begin, int end, int first,
                  int tail, float* output) {
  F sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) {
      const float* p = output + r * head_dim + first + v * 16;
      sums[r][v] = kTail ? load(p, tail) : load(p);
    }
  for (int position = begin; position < end;) {
    const int stop = min_of(end, (position / kBlock + 1) * kBlock);
    const int block = position / kBlock;
    int offset = (position % kBlock) * head_dim + first;
    // As many vectors of a block to come, but as they lie in memory: the processor sees a stream.
    int expected = first * kBlock + (position % kBlock) * (kVectors * 16);
    for (; position < stop; position++, offset += head_dim, expected += kVectors * 16) {
      F feature[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) {
        const auto* p = values.at[block] + offset + v * 16;
        feature[v] = kTail ? read(p, tail) : read(p);
        values.expect(block, expected + v * 16);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) {
        const F weight = set(weights[r * kTile + position]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; v++) sums[r][v] = fma(weight, feature[v], sums[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v++) {
      float* p = output + r * head_dim + first + v * 16;
      if (kTail) {
        store(p, sums[r][v], tail);
      } else {
        store(p, sums[r][v]);
      }
    }
}

template <int kRows, class Values>
void add_values(const float* weights, int head_dim, Values values, int begin, int end,
                float* output) {
  if (begin >= end) return;
  constexpr int kVectors = vectors_for(kRows);
  int d = 0;
  for (; d + kVectors * 16 <= head_dim; d += kVectors * 16)
    add_features<kRows, kVectors, false>(weights, head_dim, values, begin, end, d, 0, output);
  if constexpr (kVectors > 2)
    for (; d + 32 <= head_dim; d += 32)
      add_features<kRows, 2, false>(weights, head_dim, values, begin, end, d, 0, output);
  for (; d + 16 <= head_dim; d += 16)
    add_features<kRows, 1, false>(weights, head_dim, values, begin, end, d, 0, output);
  if (d < head_dim)
    add_features<kRows, 1, true>(weights, head_dim, values, begin, end, d, head_dim - d, output);
}

// Scores of the `visible` first positions -> exp(score - maximum) in their place, and their sum.
void exponentials(float* scores, int visible, float& maximum_out, float& total) {
  const int whole = visible / 16, rest = visible % 16;
  float* last = scores + whole * 16;
  F largest = set(-__builtin_inff());
  for (int i = 0; i < whole; i++) largest = max(largest, load(scores + i * 16));
  if (rest) largest = max(largest, keep_first(load(last), rest, largest));
  maximum_out = maximum(largest);
  const F top = set(maximum_out);
  F sums = zero();
  for (int i = 0; i < whole; i++) {
    const F weight = exp(sub(load(scores + i * 16), top));
    store(scores + i * 16, weight);
    sums = add(sums, weight);
  }
  if (rest) {
    const F weight = keep_first(exp(sub(load(last), top)), rest, zero());
    store(last, weight);
    sums = add(sums, weight);
  }
  total = sum(sums);
}

// What of the cache belongs to a tile of one KV head.
struct TileOf {
  const void* array;  // all keys or all values
  int tile;
  int blocks;
};

// Where its blocks lie, and what is read after them: as many, and for the last blocks in hand, of
// which several are read at once, a few more.
template <class Element>
struct TileBlocks {
  static constexpr int kSize = 2 * kTileBlocks + vectors_for(1);
  const Element* at[kSize];

  TileBlocks(const QueryRows& rows, TileOf now, TileOf next) {
    for (int b = 0; b < now.blocks; b++) at[b] = locate(rows, now, b);
    for (int b = now.blocks; b < kSize; b++)
      at[b] = locate(rows, next, min_of(b - now.blocks, next.blocks - 1));
  }

 private:
  static const Element* locate(const QueryRows& rows, const TileOf& of, int block) {
    const std::ptrdiff_t index = rows.blocks[of.tile * kTileBlocks + block];
    const std::ptrdiff_t size = kBlock * rows.cache.head_dim;
    return static_cast<const Element*>(of.array) +
           (index * rows.cache.kv_heads + rows.kv_head) * size;
  }
};

// Calls body(Blocks, first block, blocks) for panels of a tile's blocks. Few rows read the cache as
// it is, once; many share a copy in float32 that stays in the L1 cache.
template <class Element, class Body>
void for_panels(const TileBlocks<Element>& tile, int blocks, int block_size, int rows,
                float* widened, const Body& body) {
  const int bytes = block_size * int(rows <= kMaxRows ? sizeof(Element) : sizeof(float));
  const int panel = min_of(kTileBlocks, max_of(kPanelBytes / bytes, vectors_for(kMaxRows)));
  for (int first = 0; first < blocks; first += panel) {
    const int count = min_of(panel, blocks - first);
    const Blocks<Element, true> stored{tile.at + first, panel};
    if (rows <= kMaxRows) {
      body(stored, first, count);
    } else {
      const float* pointers[kTileBlocks];
      for (int b = 0; b < count; b++) {
        float* to = widened + b * block_size;
        pointers[b] = to;
        for (int i = 0; i < block_size; i += 16) {
          store(to + i, read(stored.at[b] + i));
          stored.expect(b, i);
        }
      }
      body(Blocks<float, false>{pointers, 0}, first, count);
    }
  }
}

template <class Element>
void tile(const QueryRows& rows, int tile, const float* scaled, float* scratch,
          Contribution result) {
  const int count = rows.rows(), head_dim = rows.cache.head_dim;
  const auto visible = [&](int row) { return rows.visible(row, tile); };
  // Rows see more the later they are: those that see this tile are the last ones.
  int first_row = 0;
  while (visible(first_row) <= 0) first_row += rows.sharing;
  const auto blocks_of = [&](int some_tile) {
    return (rows.visible(count - 1, some_tile) + kBlock - 1) / kBlock;
  };
  const int blocks = blocks_of(tile);
  const int next = tile + 1 < rows.tiles() ? tile + 1 : tile;
  const TileOf keys_now{rows.cache.keys, tile, blocks};
  const TileOf values_now{rows.cache.values, tile, blocks};
  const TileOf keys_next{rows.cache.keys, next, blocks_of(next)};
  const TileBlocks<Element> keys(rows, keys_now, values_now);
  const TileBlocks<Element> values(rows, values_now, keys_next);
  float* scores = scratch;
  float* widened = scratch + std::size_t(count) * kTile;
  const auto for_panels_of = [&](const TileBlocks<Element>& some, const auto& body) {
    for_panels(some, blocks, kBlock * head_dim, count - first_row, widened, body);
  };

  for_panels_of(keys, [&](auto panel, int first, int panel_blocks) {
    for (int row = first_row; row < count; row += kMaxRows) {
      const int group = min_of(kMaxRows, count - row);
      const int needed = (visible(row + group - 1) + kBlock - 1) / kBlock - first;
      if (needed <= 0) continue;
      with_rows(group, [&](auto rows_now) {
        score<rows_now.value>(scaled + row * head_dim, head_dim, panel,
                              min_of(panel_blocks, needed), scores + row * kTile + first * kBlock);
      });
    }
  });

  for (int row = first_row; row < count; row++)
    exponentials(scores + row * kTile, visible(row), result.maximum[row], result.total[row]);

  float* output = result.output + std::size_t(first_row) * head_dim;
  const std::size_t width = std::size_t(count - first_row) * head_dim;
  for (std::size_t i = 0; i < width; i++) output[i] = 0;
  for_panels_of(values, [&](auto panel, int first, int panel_blocks) {
    const int begin = first * kBlock, end = begin + panel_blocks * kBlock;
    const auto seen_here = [&](int row) { return min_of(end, visible(row)) - begin; };
    const auto weights_of = [&](int row) { return scores + row * kTile + begin; };
    const auto output_of = [&](int row) { return result.output + std::size_t(row) * head_dim; };
    for (int row = first_row; row < count; row += kMaxRows) {
      const int group = min_of(kMaxRows, count - row);
      // All rows of the group together as far as the first of them sees, then each by itself.
      const int common = max_of(0, seen_here(row));
      with_rows(group, [&](auto rows_now) {
        add_values<rows_now.value>(weights_of(row), head_dim, panel, 0, common, output_of(row));
      });
      for (int one = row + 1; one < row + group; one++)
        add_values<1>(weights_of(one), head_dim, panel, common, seen_here(one), output_of(one));
    }
  });
}

std::size_t scratch_floats(const QueryRows& rows) {
  const std::size_t block = std::size_t(kBlock) * rows.cache.head_dim;
  const std::size_t fitting = kPanelBytes / sizeof(float);
  const std::size_t least = vectors_for(kMaxRows) * block;
  return std::size_t(rows.rows()) * kTile + (fitting > least ? fitting : least);
}

// Calls body(offset, lanes) for vectors of a row of `width` numbers.
template <class Body>
inline void for_vectors(int width, const Body& body) {
  for (int i = 0; i < width; i += 16) body(i, min_of(16, width - i));
}

inline F load_some(const float* p, int n) { return n == 16 ? load(p) : load(p, n); }
inline void store_some(float* p, F v, int n) {
  if (n == 16) {
    store(p, v);
  } else {
    store(p, v, n);
  }
}

void scale_queries(const QueryRows& rows, float scale, float* scaled) {
  const int width = rows.sharing * rows.cache.head_dim;  // these heads of a token lie together
  const F factor = set(scale);
  for (int token = 0; token < rows.tokens; token++, scaled += width) {
    const float* queries = rows.queries + token * rows.stride;
    for_vectors(width, [&](int i, int n) {
      store_some(scaled + i, mul(load_some(queries + i, n), factor), n);
    });
  }
}

void combine(const QueryRows& rows, int tile, Contribution so_far, Contribution next) {
  const int head_dim = rows.cache.head_dim;
  for (int row = 0; row < rows.rows(); row++) {
    if (rows.visible(row, tile) <= 0) continue;
    const F ours = set(so_far.maximum[row]), theirs = set(next.maximum[row]);
    const F raised = max(ours, theirs);
    const F decay = exp(sub(ours, raised)), share = exp(sub(theirs, raised));
    const auto both = [&](F a, F b) { return add(mul(a, decay), mul(b, share)); };
    store(&so_far.maximum[row], raised, 1);
    store(&so_far.total[row], both(set(so_far.total[row]), set(next.total[row])), 1);
    float* output = so_far.output + std::size_t(row) * head_dim;
    const float* added = next.output + std::size_t(row) * head_dim;
    for_vectors(head_dim, [&](int i, int n) {
      store_some(output + i, both(load_some(output + i, n), load_some(added + i, n)), n);
    });
  }
}

void finish(const QueryRows& rows, Contribution all) {
  const int head_dim = rows.cache.head_dim;
  for (int row = 0; row < rows.rows(); row++) {
    const F total = set(all.total[row]);
    const float* output = all.output + std::size_t(row) * head_dim;
    float* out = rows.out + row / rows.sharing * rows.stride + row % rows.sharing * head_dim;
    for_vectors(head_dim, [&](int i, int n) {
      store_some(out + i, div(load_some(output + i, n), total), n);
    });
  }
}

// 16 features of one position into its column of a key block.
template <class Element>
inline void store_column(Element* column, F features, int n) {
  Element rounded[16];
  write(rounded, features);
  for (int i = 0; i < n; i++) column[i * kBlock] = rounded[i];
}

template <class Element>
void rotate_and_store(const CacheLayer& cache, int heads, const float* qkv, const float* cosines,
                      const float* sines, std::int64_t slot, float* queries) {
  const int head_dim = cache.head_dim, half = head_dim / 2;
  const std::ptrdiff_t block_size = std::ptrdiff_t(kBlock) * head_dim;
  const std::ptrdiff_t block = slot / kBlock * cache.kv_heads * block_size;
  const int position = static_cast<int>(slot % kBlock);
  // Calls body(feature, first, second, lanes): the rotated features from `feature` and from
  // half + `feature`.
  const auto rotate = [&](const float* head, const auto& body) {
    for_vectors(half, [&](int i, int n) {
      const F a = load_some(head + i, n), b = load_some(head + half + i, n);
      const F cosine = load_some(cosines + i, n), sine = load_some(sines + i, n);
      body(i, sub(mul(a, cosine), mul(b, sine)), add(mul(b, cosine), mul(a, sine)), n);
    });
  };

  for (int head = 0; head < heads; head++, qkv += head_dim, queries += head_dim)
    rotate(qkv, [&](int i, F first, F second, int n) {
      store_some(queries + i, first, n);
      store_some(queries + half + i, second, n);
    });
  for (int head = 0; head < cache.kv_heads; head++, qkv += head_dim) {
    Element* column = static_cast<Element*>(cache.keys) + block + head * block_size + position;
    rotate(qkv, [&](int i, F first, F second, int n) {
      store_column(column + i * kBlock, first, n);
      store_column(column + (half + i) * kBlock, second, n);
    });
  }
  for (int head = 0; head < cache.kv_heads; head++, qkv += head_dim) {
    Element* row = static_cast<Element*>(cache.values) + block + head * block_size +
                   position * head_dim;
    for_vectors(head_dim, [&](int i, int n) {
      if (n == 16) {
        write(row + i, load(qkv + i));
      } else {
        write(row + i, load(qkv + i, n), n);
      }
    });
  }
}

}  // namespace

void fill(AttentionKernels& kernels) {
  const auto set = [&](DType dtype, auto tile_kernel, auto store_kernel) {
    kernels.tile[static_cast<int>(dtype)] = tile_kernel;
    kernels.rotate_and_store[static_cast<int>(dtype)] = store_kernel;
  };
  set(DType::fp32, tile<float>, rotate_and_store<float>);
  set(DType::fp16, tile<Fp16>, rotate_and_store<Fp16>);
  set(DType::bf16, tile<Bf16>, rotate_and_store<Bf16>);
  kernels.scale_queries = scale_queries;
  kernels.scratch_floats = scratch_floats;
  kernels.combine = combine;
  kernels.finish = finish;
}

}  // namespace homerun::HOMERUN_ISA
