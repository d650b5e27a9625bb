// What the machine can do at most: how fast all threads read memory and multiply.
// Knows nothing of models; figures of other operations are held against these.
#pragma once

#include <cstddef>
#include <string_view>

namespace homerun {

// Seconds in which the threads of the pool read `size` bytes once, front to back.
double read_probe(const unsigned char* data, std::size_t size);

// 10^9 multiply-adds per second of all threads of the pool, in a loop of one instruction without
// memory; the best of several runs of about 60 ms.
//   "int8", "fp32"            of the instruction set in use: vpdpbusd and vfmadd on zmm registers;
//                             vpmaddwd + vpaddd and vfmadd on ymm; what NEON and plain C++ have
//   "bf16"                    vdpbf16ps on zmm
//   "amx_int8", "amx_bf16"    tdpbssd and tdpbf16ps
// Throws std::invalid_argument for another kind, and for one that this CPU does not have.
double peak_gmacs(std::string_view kind);

}  // namespace homerun
