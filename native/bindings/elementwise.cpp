// Embedding, norm and gated activations on arrays from Python: checks shapes and dtypes.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string_view.h>

#include <string_view>

#include "bindings/bindings.hpp"
#include "ops/elementwise.hpp"

namespace {

using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Row = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Ids = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AnyTable = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

homerun::DType table_dtype(const AnyTable& table, std::string_view name) {
  const nb::dlpack::dtype type = table.dtype();
  if (name == "fp32" && type == nb::dtype<float>()) return homerun::DType::fp32;
  const auto half = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float);
  if (name == "fp16" && type.code == half && type.bits == 16) return homerun::DType::fp16;
  if (name == "bf16" && type == nb::dtype<std::uint16_t>()) return homerun::DType::bf16;
  throw nb::value_error(
      "embed: the table must be float32 for fp32, float16 for fp16, uint16 for bf16");
}

homerun::Activation activation_of(std::string_view name) {
  if (name == "silu") return homerun::Activation::silu;
  if (name == "gelu_tanh") return homerun::Activation::gelu_tanh;
  throw nb::value_error("the activation must be silu or gelu_tanh");
}

void embed(const AnyTable& table, std::string_view dtype, const Ids& ids, float scale,
           const Out& out) {
  const homerun::Table whole{table.data(), table_dtype(table, dtype),
                             static_cast<std::int64_t>(table.shape(0)),
                             static_cast<int>(table.shape(1))};
  if (out.shape(0) != ids.shape(0) || out.shape(1) != table.shape(1))
    throw nb::value_error("embed: out must be [token_ids, width of the table]");
  bool valid;
  {
    const GilReleased unlocked;
    valid = homerun::embed(whole, ids.data(), static_cast<std::int64_t>(ids.shape(0)), scale,
                           out.data());
  }
  if (!valid) throw nb::value_error("embed: a token id is not a row of the table");
}

void rms_norm(const Rows& x, const Row& weight, float eps, const Out& out) {
  if (weight.shape(0) != x.shape(1) || out.shape(0) != x.shape(0) || out.shape(1) != x.shape(1))
    throw nb::value_error("rms_norm: x and out must be [rows, width], weight [width]");
  const GilReleased unlocked;
  homerun::rms_norm(x.data(), weight.data(), eps, static_cast<std::int64_t>(x.shape(0)),
                    static_cast<int>(x.shape(1)), out.data());
}

void gated(const Rows& gate_up, std::string_view activation, const Out& out) {
  const homerun::Activation which = activation_of(activation);
  if (out.shape(0) != gate_up.shape(0) || 2 * out.shape(1) != gate_up.shape(1))
    throw nb::value_error("gated: gate_up must be [rows, 2 width], out [rows, width]");
  const GilReleased unlocked;
  homerun::gated(gate_up.data(), which, static_cast<std::int64_t>(out.shape(0)),
                 static_cast<int>(out.shape(1)), out.data());
}

}  // namespace

void bind_elementwise(nb::module_& m) {
  m.def("embed", &embed, nb::arg("table").noconvert(), nb::arg("dtype"),
        nb::arg("token_ids").noconvert(), nb::arg("scale"), nb::arg("out").noconvert(),
        "out[i] = table[token_ids[i]] as float32, times `scale` rounded to the table's dtype "
        "unless it is 1. ValueError if an id is no row of the table.");
  m.def("rms_norm", &rms_norm, nb::arg("x").noconvert(), nb::arg("weight").noconvert(),
        nb::arg("eps"), nb::arg("out").noconvert(),
        "out = x / sqrt(mean(x²) + eps) · weight, row by row.");
  m.def("gated", &gated, nb::arg("gate_up").noconvert(), nb::arg("activation"),
        nb::arg("out").noconvert(),
        "out = activation(gates) · ups, row by row; gate_up holds the gates, then the ups.");
}
