// Which table of kernels is in use.
#include "kernels/kernels.hpp"

#include <array>
#include <cstring>
#include <iterator>
#include <memory>

#include "cpu_features.hpp"

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

struct Selection {
  Kernels table{};
  const char* name = "none";
};

// Fills up to the level `name`, or up to the best usable one. Null if `name` cannot be had.
std::unique_ptr<Selection> select(const char* name) {
  auto selection = std::make_unique<Selection>();
  for (const Level& level : kLevels) {
    if (!level.usable(cpu_features())) continue;
    level.fill(selection->table);
    selection->name = level.name;
    if (name && !std::strcmp(level.name, name)) return selection;
  }
  return name ? nullptr : std::move(selection);
}

std::unique_ptr<Selection>& selected() {
  // Never destroyed: a thread may still compute while the process ends.
  static auto& current = *new std::unique_ptr<Selection>(select(nullptr));
  return current;
}

}  // namespace

const Kernels& kernels() { return selected()->table; }

const char* instruction_set() { return selected()->name; }

const char* const* instruction_sets() {
  static const auto usable = [] {
    std::array<const char*, std::size(kLevels) + 1> names{};
    auto next = names.begin();
    for (const Level& level : kLevels)
      if (level.usable(cpu_features())) *next++ = level.name;
    return names;
  }();
  return usable.data();
}

bool force_instruction_set(const char* name) {
  std::unique_ptr<Selection> wanted = select(name);
  if (!wanted) return false;
  selected() = std::move(wanted);
  return true;
}

}  // namespace homerun
