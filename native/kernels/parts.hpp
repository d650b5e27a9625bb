// What each file of kernels/ offers to the table of its instruction set.
#pragma once

#include "kernels/attention.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/linear.hpp"
#include "kernels/lora.hpp"
#include "kernels/sampling.hpp"

namespace homerun::HOMERUN_ISA {

void fill(LinearKernels& kernels);       // linear_float.cpp: fp32, fp16, bf16
void fill_int8(LinearKernels& kernels);  // linear_int8.cpp
void fill_fp16(LinearKernels& kernels);  // linear_fp16.cpp, of amx only
void fill(LoraKernels& kernels);         // lora.cpp
void fill(AttentionKernels& kernels);    // attention.cpp
void fill(ElementwiseKernels& kernels);  // elementwise.cpp
void fill(SamplingKernels& kernels);     // sampling.cpp

}  // namespace homerun::HOMERUN_ISA
