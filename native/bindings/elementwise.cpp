// Embedding, norm and gated activations on arrays from Python: checks shapes and dtypes.
#include "bindings/arrays.hpp"
#include "ops/elementwise.hpp"

namespace {

using Rows = Input<float, 2>;
using Row = Input<float, 1>;
using Out = Output<float, 2>;
using Ids = Input<std::int32_t, 1>;
using AnyTable = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void embed(const AnyTable& table, const char* dtype, const Ids& ids, float scale, const Out& out) {
  const homerun::Table whole{table.data(), float_dtype(dtype, table.dtype()),
                             static_cast<std::int64_t>(table.shape(0)), extent(table.shape(1))};
  if (out.shape(0) != ids.shape(0) || out.shape(1) != table.shape(1))
    throw nb::value_error("embed: out must be [token_ids, width of the table]");
  bool valid;
  {
    const GilReleased released;
    valid = homerun::embed(whole, ids.data(), static_cast<std::int64_t>(ids.shape(0)), scale,
                           out.data());
  }
  if (!valid) throw nb::value_error("embed: a token id is not a row of the table");
}

void rms_norm(const Rows& x, const Row& weight, float eps, const Out& out) {
  if (weight.shape(0) != x.shape(1) || out.shape(0) != x.shape(0) || out.shape(1) != x.shape(1))
    throw nb::value_error("rms_norm: x and out must be [rows, width], weight [width]");
  const int width = extent(x.shape(1));
  const GilReleased released;
  homerun::rms_norm(x.data(), weight.data(), eps, static_cast<std::int64_t>(x.shape(0)), width,
                    out.data());
}

void gated(const Rows& gate_up, const char* activation, const Out& out) {
  const homerun::Activation which = activation_named(activation);
  if (out.shape(0) != gate_up.shape(0) || 2 * out.shape(1) != gate_up.shape(1))
    throw nb::value_error("gated: gate_up must be [rows, 2 width], out [rows, width]");
  const int width = extent(out.shape(1));
  const GilReleased released;
  homerun::gated(gate_up.data(), which, static_cast<std::int64_t>(out.shape(0)), width,
                 out.data());
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
