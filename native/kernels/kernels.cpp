// Which table of kernels is in use.
#include "kernels/kernels.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <iterator>
#include <vector>

#include "cpu_features.hpp"
#include "thread_pool.hpp"

namespace homerun {

// One `fill` per instruction set that this build has; the later ones replace some kernels only.
#define HOMERUN_DECLARE(isa) \
  namespace isa {            \
  void fill(Kernels& table); \
  }
#ifdef HOMERUN_HAS_avx2
HOMERUN_DECLARE(avx2)
#endif
#ifdef HOMERUN_HAS_avx512_vnni
HOMERUN_DECLARE(avx512_vnni)
#endif
#ifdef HOMERUN_HAS_avx512_bf16
HOMERUN_DECLARE(avx512_bf16)
#endif
#ifdef HOMERUN_HAS_amx
HOMERUN_DECLARE(amx)
#endif
#ifdef HOMERUN_HAS_neon
HOMERUN_DECLARE(neon)
#endif
#ifdef HOMERUN_HAS_portable
HOMERUN_DECLARE(portable)
#endif

namespace {

struct Level {
  const char* name;
  bool (*usable)(const CpuFeatures& cpu);
  void (*fill)(Kernels& table);
};

[[maybe_unused]] bool has_avx2(const CpuFeatures& c) { return c.avx2 && c.fma && c.f16c; }
[[maybe_unused]] bool has_avx512_vnni(const CpuFeatures& c) {
  return has_avx2(c) && c.avx512f && c.avx512bw && c.avx512dq && c.avx512vl && c.avx512_vnni;
}

// Worst first. The table of a level is filled by all usable levels up to it, in this order.
const Level kLevels[] = {
#ifdef HOMERUN_HAS_portable
    {"portable", [](const CpuFeatures&) { return true; }, portable::fill},
#endif
#ifdef HOMERUN_HAS_neon
    {"neon", [](const CpuFeatures& c) { return c.neon; }, neon::fill},
#endif
#ifdef HOMERUN_HAS_avx2
    {"avx2", has_avx2, avx2::fill},
#endif
#ifdef HOMERUN_HAS_avx512_vnni
    {"avx512_vnni", has_avx512_vnni, avx512_vnni::fill},
#endif
#ifdef HOMERUN_HAS_avx512_bf16
    {"avx512_bf16", [](const CpuFeatures& c) { return has_avx512_vnni(c) && c.avx512_bf16; },
     avx512_bf16::fill},
#endif
#ifdef HOMERUN_HAS_amx
    {"amx",
     [](const CpuFeatures& c) {
       return has_avx512_vnni(c) && c.avx512_bf16 && c.amx_int8 && c.amx_bf16;
     },
     amx::fill},
#endif
};

// A level's table, of what all usable levels up to it have.
struct Selection {
  Kernels table{};
  const char* name = nullptr;
};

// One per usable level, worst first. They stay for good: whoever computes with one may go on with
// it while another is chosen, or while the process ends.
const std::vector<Selection>& selections() {
  static const auto& all = *new std::vector<Selection>([] {
    std::vector<Selection> usable;
    Selection next;
    for (const Level& level : kLevels) {
      if (!level.usable(cpu_features())) continue;
      level.fill(next.table);
      next.name = level.name;
      usable.push_back(next);
    }
    return usable;
  }());
  return all;
}

std::atomic<const Selection*>& selected() {
  static std::atomic<const Selection*> current = &selections().back();
  return current;
}

}  // namespace

const Kernels& kernels() { return selected().load()->table; }

const char* instruction_set() { return selected().load()->name; }

const char* const* instruction_sets() {
  static const auto names = [] {
    std::array<const char*, std::size(kLevels) + 1> usable{};
    auto next = usable.begin();
    for (const Selection& selection : selections()) *next++ = selection.name;
    return usable;
  }();
  return names.data();
}

bool force_instruction_set(const char* name) {
  for (const Selection& selection : selections()) {
    if (std::strcmp(selection.name, name)) continue;
    const Turn mine;  // an operation ends with the set that it began with
    selected().store(&selection);
    return true;
  }
  return false;
}

}  // namespace homerun
