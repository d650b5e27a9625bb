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

// What a tile's kernel is given: the rows that see the tile, and its blocks of the cache.
template <class Element>
struct Tile {
  const QueryRows& rows;
  int index;
  int first_row, count;  // rows [first_row, count) see it
  int head_dim;
  int blocks;
  TileBlocks<Element> keys, values;  // each followed by what is read after it

  static Tile of(const QueryRows& rows, int tile) {
    const int count = rows.rows();
    const auto blocks_of = [&](int some_tile) {
      return parts_of(rows.visible(count - 1, some_tile), kBlock);
    };
    const int blocks = blocks_of(tile);
    const int next = tile + 1 < rows.tiles() ? tile + 1 : tile;
    const TileOf keys_now{rows.cache.keys, tile, blocks};
    const TileOf values_now{rows.cache.values, tile, blocks};
    const TileOf keys_next{rows.cache.keys, next, blocks_of(next)};
    return {rows,
            tile,
            first_seeing(rows, tile),
            count,
            rows.cache.head_dim,
            blocks,
            TileBlocks<Element>(rows, keys_now, values_now),
            TileBlocks<Element>(rows, values_now, keys_next)};
  }
  int visible(int row) const { return rows.visible(row, index); }
  int blocks_seen(int row) const { return parts_of(visible(row), kBlock); }
  // The scales of a block's keys, then those of its values, kBlock each.
  const float* scales(int block) const {
    return rows.cache.scales + place_of(rows, index, block) * 2 * kBlock;
  }
};

}  // namespace homerun::HOMERUN_ISA
