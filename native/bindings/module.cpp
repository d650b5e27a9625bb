// The Python face of the kernels: homerun._native.
// Knows both sides' types; computes nothing. src/homerun/_native.pyi repeats its signatures.
#include "bindings/bindings.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

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

nb::list instruction_sets() {
  nb::list names;
  for (const char* const* name = homerun::instruction_sets(); *name; name++) names.append(*name);
  return names;
}

void set_threads(int threads) {
  constexpr int kMost = 1024;  // as the setting
  if (threads < 0 || threads > kMost)
    throw nb::value_error("threads must be at least 1 and at most 1024, or 0: one per usable CPU");
  const GilReleased released;
  homerun::set_threads(threads ? threads : homerun::usable_cpus());
}

bool force_instruction_set(const char* name) {
  const GilReleased released;
  return homerun::force_instruction_set(name);
}

// Work of no use, shared out as an operation is.
nb::list share_out(std::int64_t pieces, double seconds) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::int64_t> done;
  {
    const GilReleased released;
    const homerun::Turn mine;
    done.resize(homerun::pool().threads());
    homerun::pool().run(pieces, [&](std::int64_t, int thread) {
      const auto end = Clock::now() + std::chrono::duration<double>(seconds);
      while (Clock::now() < end) continue;
      done[thread]++;
    });
  }
  nb::list result;
  for (const std::int64_t n : done) result.append(n);
  return result;
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "C++ kernels of homerun.";
  m.def("cpu_features", &cpu_features,
        "Instruction sets by the names Linux gives them in /proc/cpuinfo, and whether this "
        "process may use each.");
  m.def("instruction_set", &homerun::instruction_set,
        "The set in use: amx, avx512_bf16, avx512_vnni, avx2, neon or portable.");
  m.def("force_instruction_set", &force_instruction_set, nb::arg("name"),
        "Uses another set after the operation that runs; false, and nothing changed, if it cannot "
        "be had here.");
  m.def("instruction_sets", &instruction_sets,
        "The sets that can be forced here, worst first.");
  m.def("set_threads", &set_threads, nb::arg("threads"),
        "How many threads compute, the calling one included; 0 for one per usable CPU, which is "
        "the default. Waits for the operation that runs.");
  m.def("share_out", &share_out, nb::arg("pieces"), nb::arg("seconds") = 0.0,
        "Keeps the threads busy with pieces of so many seconds; how many pieces each thread did. "
        "For tests and measurements of the pool.");
  bind_lora(m);
  bind_linear(m);
  bind_attention(m);
  bind_layers(m);
  bind_elementwise(m);
  bind_sampling(m);
  bind_machine(m);
  bind_checksum(m);
  bind_memory(m);
}
