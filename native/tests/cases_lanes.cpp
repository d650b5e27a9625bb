// The functions of lanes/ on numbers of all kinds.
#include <string>

#include "kernels/kernels.hpp"
#include "tests/agreement.hpp"
#include "tests/lane_functions.hpp"

namespace homerun {

namespace portable {
const LaneFunction* lane_functions();
}
namespace avx2 {
const LaneFunction* lane_functions();
}
namespace avx512_vnni {
const LaneFunction* lane_functions();
}
namespace neon {
const LaneFunction* lane_functions();
}

namespace agreement {
namespace {

// Those of the instruction set in use. Sets that are not named here have the lanes of another.
const LaneFunction* functions_in_use() {
  const std::string set = instruction_set();
#ifdef HOMERUN_HAS_neon
  if (set == "neon") return neon::lane_functions();
#endif
#ifdef HOMERUN_HAS_avx2
  if (set == "avx2") return avx2::lane_functions();
#endif
#ifdef HOMERUN_HAS_avx512_vnni
  if (set == "avx512_vnni") return avx512_vnni::lane_functions();
#endif
  return portable::lane_functions();
}

LaneInput input(Random& random) {
  LaneInput in;
  for (int i = 0; i < 16; i++) {
    in.a[i] = random.any();
    in.b[i] = random.any();
    in.c[i] = random.any();
    in.integers[i] = static_cast<float>(random.below(278) - 150);
  }
  for (std::uint16_t& half : in.halves) half = static_cast<std::uint16_t>(random.bits());
  in.n = random.below(16);
  return in;
}

}  // namespace

std::vector<Case> lane_cases() {
  std::vector<Case> cases;
  int index = 0;
  for (const LaneFunction* function = functions_in_use(); function->name; function++, index++) {
    cases.push_back({std::string("lanes ") + function->name, [index](Record& record) {
                       Random random(index);
                       for (int round = 0; round < 2000; round++) {
                         LaneOutput out = {};
                         functions_in_use()[index].apply(input(random), out);
                         record.floats(out.computed, 32);
                         record.exactly(out.exact, 32);
                       }
                     }});
  }
  return cases;
}

}  // namespace agreement
}  // namespace homerun
