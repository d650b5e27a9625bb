#include "ops/memory.hpp"

#include <cstdint>

#include "thread_pool.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace homerun {
namespace {

// Whether the kernel did it: Linux from 5.14 on.
bool populated_at_once(const Piece& piece) {
#if defined(MADV_POPULATE_WRITE)
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(piece.data) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(piece.data) + piece.size;
  return madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE) == 0;
#else
  (void)piece;
  return false;
#endif
}

void write_each_page(const Piece& piece) {
  constexpr std::size_t kSmallestPage = 4096;
  volatile unsigned char* data = piece.data;
  for (std::size_t i = 0; i < piece.size; i += kSmallestPage) data[i] = data[i];
}

}  // namespace

void populate(std::span<const Piece> pieces) {
  pool().run(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t index, int) {
    if (!populated_at_once(pieces[index])) write_each_page(pieces[index]);
  });
}

}  // namespace homerun
