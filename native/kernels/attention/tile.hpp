// One tile of the paged cache as some query rows see it: which rows, which blocks, where they lie.
// Knows addresses; computes nothing.
#pragma once

#include "kernels/attention/numbers.hpp"

namespace homerun::HOMERUN_ISA {

// What is asked of the memory for the blocks that come after those in hand.
constexpr int kIntoL2 = 2;
// Blocks that are read side by side, at most. More streams of memory are slower.
constexpr int kMostStreams = 4;

// Blocks of keys or values, read once each; what lies `ahead` of the block in hand is asked of the
// memory meanwhile: at[b] is defined so much further.
template <class Element>
struct Blocks {
  const Element* const* at;
  int ahead;

  Blocks from(int block) const { return {at + block, ahead}; }
  void expect(int block, int offset) const {
    __builtin_prefetch(at[block + ahead] + offset, 0, kIntoL2);
  }
};

// What of the cache belongs to a tile of one KV head.
struct TileOf {
  const void* array;  // all keys or all values
  int tile;
  int blocks;
};

// Where a block of a sequence lies in the cache, counted in blocks of one KV head.
inline std::ptrdiff_t place_of(const QueryRows& rows, int tile, int block) {
  const std::ptrdiff_t index = rows.blocks[tile * kTileBlocks + block];
  return index * rows.cache.kv_heads + rows.kv_head;
}

// Where a tile's blocks lie, and what is read after them: as many, and for the last blocks in hand,
// of which several are read at once, a few more.
template <class Element>
struct TileBlocks {
  static constexpr int kSize = 2 * kTileBlocks + kMostStreams;
  const Element* at[kSize];

  TileBlocks(const QueryRows& rows, TileOf now, TileOf next) {
    for (int b = 0; b < now.blocks; b++) at[b] = locate(rows, now, b);
    for (int b = now.blocks; b < kSize; b++)
      at[b] = locate(rows, next, smaller(b - now.blocks, next.blocks - 1));
  }

 private:
  static const Element* locate(const QueryRows& rows, const TileOf& of, int block) {
    return static_cast<const Element*>(of.array) +
           place_of(rows, of.tile, block) * kBlock * rows.cache.head_dim;
  }
};

// Rows see more the later they are: those that see a tile are the last ones.
inline int first_seeing(const QueryRows& rows, int tile) {
  const int token = max_of(0, tile * kPositionTile - rows.start);
  return smaller(token, rows.tokens) * rows.sharing;
}

// Calls body(row, queries) for every row. The heads of a token are a short piece of a long row,
// which the processor does not foresee: they are asked for some tokens before.
template <class Body>
inline void for_queries(const QueryRows& rows, const Body& body) {
  constexpr int kTokensAhead = 8;
  const int head_dim = rows.cache.head_dim;
  for (int token = 0; token < rows.tokens; token++) {
    const float* queries = rows.queries + token * rows.stride;
    for (int head = 0; head < rows.sharing; head++, queries += head_dim) {
      for (int d = 0; d < head_dim; d += kBlock)
        __builtin_prefetch(queries + kTokensAhead * rows.stride + d);
      body(token * rows.sharing + head, queries);
    }
  }
}

// What of a tile is read first, keys or values.
enum class Reading { keys_first, values_first };

// What a tile's kernel is given: the rows that see the tile, and its blocks of the cache.
template <class Element>
struct Tile {
  const QueryRows& rows;
  int index;
  int first_row, count;  // rows [first_row, count) see it
  int head_dim;
  int blocks;
  TileBlocks<Element> keys, values;  // each followed by what is read after it

  static Tile of(const QueryRows& rows, int tile, Reading reading = Reading::keys_first) {
    const int count = rows.rows();
    const auto blocks_of = [&](int some_tile) {
      return parts_of(rows.visible(count - 1, some_tile), kBlock);
    };
    const int blocks = blocks_of(tile);
    const int next = tile + 1 < rows.tiles() ? tile + 1 : tile;
    const TileOf keys_now{rows.cache.keys, tile, blocks};
    const TileOf values_now{rows.cache.values, tile, blocks};
    const bool keys_first = reading == Reading::keys_first;
    const TileOf first_next{keys_first ? rows.cache.keys : rows.cache.values, next,
                            blocks_of(next)};
    return {rows,
            tile,
            first_seeing(rows, tile),
            count,
            rows.cache.head_dim,
            blocks,
            TileBlocks<Element>(rows, keys_now, keys_first ? values_now : first_next),
            TileBlocks<Element>(rows, values_now, keys_first ? first_next : keys_now)};
  }
  int visible(int row) const { return rows.visible(row, index); }
  int blocks_seen(int row) const { return parts_of(visible(row), kBlock); }
  // The scales of a block's keys, then those of its values, kBlock each.
  const float* scales(int block) const {
    return rows.cache.scales + place_of(rows, index, block) * 2 * kBlock;
  }
};

}  // namespace homerun::HOMERUN_ISA
