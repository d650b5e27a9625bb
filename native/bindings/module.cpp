// The Python face of the kernels: homerun._native.
// Knows both sides' types; computes nothing. Its signatures are repeated in src/homerun/_native.pyi.
#include "bindings/bindings.hpp"
#include "cpu_features.hpp"
#include "kernels/kernels.hpp"
#include "thread_pool.hpp"

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
  names["amx_bf16"] = f.amx_bf16;
  names["amx_int8"] = f.amx_int8;
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
        "The set in use: amx, avx512_bf16, avx512_vnni, avx2, neon or portable.");
  m.def("force_instruction_set", &homerun::force_instruction_set, nb::arg("name"),
        "Uses another set from now on; false, and nothing changed, if it cannot be had here.");
  m.def("set_threads", &homerun::set_threads, nb::arg("threads"),
        "Replaces the pool; `threads` counts the calling thread. Never while an operation runs.");
  bind_linear(m);
  bind_attention(m);
  bind_elementwise(m);
  bind_sampling(m);
  bind_machine(m);
  bind_checksum(m);
}
