// The kernels of one instruction set, as a table of functions. A kernel runs on one thread, computes
// a part of a result and knows nothing of Python, threads or memory management: ops/ does.
//
// Files of kernels/ are compiled once per instruction set, in namespace homerun::<isa>. They include
// no header of the C++ library that defines inline functions (<algorithm>, <vector>, <cmath> …):
// the linker keeps one copy of such a function, which could be the one made for another CPU.
#pragma once

#include "kernels/attention.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/linear.hpp"
#include "kernels/lora.hpp"
#include "kernels/sampling.hpp"

namespace homerun {

struct Kernels {
  LinearKernels linear;
  LoraKernels lora;
  AttentionKernels attention;
  ElementwiseKernels elementwise;
  SamplingKernels sampling;
};

// The table in use: the best this machine has, or what `force_instruction_set` chose.
const Kernels& kernels();

// Its name: "amx", "avx512_bf16", "avx512_vnni", "avx2", "neon" or "portable".
const char* instruction_set();

// The names of those that this build and this CPU have, worst first; a null pointer ends the array.
const char* const* instruction_sets();

// Waits for the operation that runs. False if this build or this CPU has no such set; then nothing
// changes.
bool force_instruction_set(const char* name);

}  // namespace homerun
