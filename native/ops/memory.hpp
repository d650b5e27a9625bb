// Memory that the system has promised and not given yet. Knows pages and threads, nothing of what
// the memory is for.
#pragma once

#include <cstddef>
#include <span>

namespace homerun {

struct Piece {
  unsigned char* data;
  std::size_t size;  // bytes
};

// Has the system give memory for the pages of the pieces, on all threads of the pool: the first
// write to a page waits for it otherwise, and then one thread at a time. What memory holds stays;
// nobody may write to it meanwhile. `by_writes`: as where the system has no call for it.
void populate(std::span<const Piece> pieces, bool by_writes = false);

}  // namespace homerun
