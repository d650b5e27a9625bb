// What the bindings ask of arrays and names from Python. Sizes are checked against limits that keep
// the kernels' `int` arithmetic far from overflow; no model comes near them.
#pragma once

#include <nanobind/ndarray.h>

#include <cstring>

#include "bindings/bindings.hpp"
#include "kernels/elementwise.hpp"

// Bind these with noconvert(): nanobind would otherwise copy an array of another dtype or order,
// and a result would go to the copy.
template <class T, int kDims>
using Input = nb::ndarray<const T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
template <class T, int kDims>
using Output = nb::ndarray<T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;

inline void require(bool holds, const char* message) {
  if (!holds) throw nb::value_error(message);
}

// A number of rows, or of numbers in a row.
inline int extent(std::size_t n) {
  require(n <= std::size_t{1} << 30, "an array is longer than 2^30 in one dimension");
  return static_cast<int>(n);
}

// A number that is not an argument of its own.
template <class T>
T number(nb::handle object, const char* what) {
  T value;
  if (!nb::try_cast(object, value)) throw nb::type_error(what);
  return value;
}

inline homerun::Activation activation_named(const char* name) {
  if (!std::strcmp(name, "silu")) return homerun::Activation::silu;
  if (!std::strcmp(name, "gelu_tanh")) return homerun::Activation::gelu_tanh;
  throw nb::value_error("activation is silu or gelu_tanh");
}

// The dtype `name` of an array whose elements are `type`; bf16 comes as the bits.
inline homerun::DType float_dtype(const char* name, nb::dlpack::dtype type) {
  constexpr nb::dlpack::dtype kHalf{static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float), 16,
                                    1};
  using homerun::DType;
  if (!std::strcmp(name, "fp32") && type == nb::dtype<float>()) return DType::fp32;
  if (!std::strcmp(name, "fp16") && type == kHalf) return DType::fp16;
  if (!std::strcmp(name, "bf16") && type == nb::dtype<std::uint16_t>()) return DType::bf16;
  throw nb::type_error("numbers are fp32 (float32), fp16 (float16) or bf16 (uint16 bits)");
}
