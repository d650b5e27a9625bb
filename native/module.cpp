// The Python face of the kernels: homerun._native.
// Knows both sides' types; computes nothing. Its signatures are repeated in src/homerun/_native.pyi.
#include <nanobind/nanobind.h>

#include "cpu_features.hpp"

namespace nb = nanobind;

namespace {

nb::dict cpu_features() {
  const homerun::CpuFeatures& f = homerun::cpu_features();
  nb::dict names;
  names["avx2"] = f.avx2;
  names["fma"] = f.fma;
  names["f16c"] = f.f16c;
  names["avx512f"] = f.avx512f;
  names["avx512bw"] = f.avx512bw;
  names["avx512dq"] = f.avx512dq;
  names["avx512vl"] = f.avx512vl;
  names["avx512_vnni"] = f.avx512_vnni;
  names["avx512_bf16"] = f.avx512_bf16;
  names["avx_vnni"] = f.avx_vnni;
  names["neon"] = f.neon;
  return names;
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "C++ kernels of homerun.";
  m.def("cpu_features", &cpu_features,
        "Instruction sets by the names Linux gives them in /proc/cpuinfo, and whether this "
        "process may use each.");
  m.def("instruction_set", &homerun::instruction_set,
        "The best set kernels are written for: avx512_vnni, avx2, neon or portable.");
}
