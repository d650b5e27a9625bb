#include "ops/memory.hpp"

#include <cerrno>
#include <cstdint>

#include "thread_pool.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace homerun {
namespace {

// Whether the kernel knows of it: Linux from 5.14 on, whatever headers this was built with. Where it
// fails for want of memory nothing is forced: whoever writes first may need less.
bool populate_at_once(const Piece& piece) {
#if defined(__linux__)
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(piece.data) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(piece.data) + piece.size;
  return madvise(reinterpret_cast<void*>(begin), end - begin, kPopulateWrite) == 0 ||
         errno != EINVAL;
#else
  (void)piece;
  return false;
#endif
}

void write_each_page(const Piece& piece) {
  constexpr std::size_t kSmallestPage = 4096;
  volatile unsigned char* data = piece.data;
  for (std::size_t i = 0; i < piece.size; i += kSmallestPage) data[i] = data[i];
  data[piece.size - 1] = data[piece.size - 1];  // of a page of its own, perhaps
}

}  // namespace

void populate(std::span<const Piece> pieces, bool by_writes) {
  pool().run(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t index, int) {
    const Piece& piece = pieces[index];
    if (piece.size == 0) return;
    if (by_writes || !populate_at_once(piece)) write_each_page(piece);
  });
}

}  // namespace homerun
