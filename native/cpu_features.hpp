// What the processor and the operating system let a program use, found at run time.
// Knows instruction sets; knows nothing of the kernels that are chosen by them.
#pragma once

namespace homerun {

struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool f16c = false;
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512dq = false;
  bool avx512vl = false;
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool avx_vnni = false;
  bool amx_bf16 = false;
  bool amx_int8 = false;
  bool neon = false;
};

// Detected once per process. A feature is true only if the operating system also saves its
// registers; all are false on a processor this file does not know.
const CpuFeatures& cpu_features();

}  // namespace homerun
