// Products with packed matrices, as Python sees them: checks shapes, releases the GIL, calls ops/.
#include "bindings/linear.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "bindings/lora.hpp"
#include "kernels/kernels.hpp"

namespace {

using homerun::DType;
using homerun::LinearWeight;
using homerun::Prologue;
using Vector = Input<float, 1>;
using Matrix = Input<float, 2>;
using Result = Output<float, 2>;

std::string shape(std::size_t rows, std::size_t columns) {
  return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
}

DType dtype_named(const std::string& name) {
  if (name == "fp32") return DType::fp32;
  if (name == "fp16") return DType::fp16;
  if (name == "bf16") return DType::bf16;
  if (name == "int8") return DType::int8;
  throw nb::value_error(("dtype is fp32, fp16, bf16 or int8, not " + name).c_str());
}

// The kernels count these in `int`, some of them times 32.
constexpr int kMostIn = 1 << 20, kMostOut = 1 << 24;
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 36;
// int8 products of so many k add up to less than 2^31, whatever the numbers: 255 · 127 each.
constexpr int kMostSummed = 1 << 16;

void check_group(const char* what, int group) {
  if (group < 0 || group > kMostIn || group % homerun::kPadding)
    throw nb::value_error((std::string(what) + " is 0 or a multiple of 64 up to 2^20").c_str());
}

void check_size(const char* what, std::size_t bytes, std::size_t wanted) {
  if (bytes == wanted) return;
  throw nb::value_error((std::string(what) + " has " + std::to_string(bytes) + " bytes; " +
                         std::to_string(wanted) + " expected").c_str());
}

}  // namespace

Linear::Linear(const std::string& dtype, int n, int k, Bytes panels, std::optional<Floats> scales,
               int weight_group, int activation_group)
    : panels_(std::move(panels)), scales_(std::move(scales)) {
  using homerun::kPadding, homerun::kPanel;
  if (n < 1 || k < 1) throw nb::value_error("n and k are at least 1");
  if (n > kMostOut || k > kMostIn || std::int64_t{n} * k > kMostNumbers)
    throw nb::value_error("n is at most 2^24, k 2^20 and n · k 2^36");
  check_group("weight_group", weight_group);
  check_group("activation_group", activation_group);
  if (weight_group && activation_group && weight_group % activation_group &&
      activation_group % weight_group)
    throw nb::value_error("one of weight_group and activation_group divides the other");

  weight_ = {dtype_named(dtype), n, k, (k + kPadding - 1) / kPadding * kPadding,
             panels_.data(), nullptr, weight_group, activation_group};
  const std::size_t panel_count = (n + kPanel - 1) / kPanel;
  check_size("panels", panels_.nbytes(),
             panel_count * kPanel * weight_.padded_k * homerun::bytes_of(weight_.dtype));
  if (weight_.dtype == DType::int8 &&
      std::min(homerun::sum_group(weight_), weight_.padded_k) > kMostSummed)
    throw nb::value_error("int8 products are added up over at most 65536 k: use groups");
  if ((weight_.dtype == DType::int8) != scales_.has_value())
    throw nb::value_error("int8 matrices have scales, others have none");
  if (scales_) {
    check_size("scales", scales_->nbytes(),
               panel_count * kPanel * homerun::groups(weight_, weight_group) * sizeof(float));
    weight_.scales = scales_->data();
  }
}

void require_kernels(const LinearWeight& weight) {
  if (!homerun::linear_available(weight.dtype))
    throw std::runtime_error(std::string("no kernels for this dtype in ") +
                             homerun::instruction_set());
}

namespace {

// `width`: how many numbers of x one row has.
void run(const Matrix& x, std::size_t width, const Linear& linear, const Prologue& prologue,
         const Result& out, bool add, const AdapterPlan* adapters, int place) {
  const LinearWeight& weight = linear.weight();
  if (x.shape(1) != width)
    throw nb::value_error(("x is " + shape(x.shape(0), x.shape(1)) + "; rows of " +
                           std::to_string(width) + " expected").c_str());
  if (out.shape(0) != x.shape(0) || out.shape(1) != static_cast<std::size_t>(weight.n))
    throw nb::value_error(("the result is " + shape(out.shape(0), out.shape(1)) + "; " +
                           shape(x.shape(0), weight.n) + " expected").c_str());
  require_kernels(weight);
  const int rows = extent(x.shape(0));
  std::vector<homerun::LoraSegment> segments;
  if (adapters) segments = adapters->segments(place, rows, weight.n, weight.k);
  const GilReleased released;
  homerun::linear(weight, prologue, x.data(), width, rows, out.data(), weight.n, add,
                  segments.data(), static_cast<int>(segments.size()));
}

void norm_linear(const Matrix& x, const Vector& norm, float eps, const Linear& weight,
                 const Result& out, const AdapterPlan* adapters, int place) {
  if (norm.shape(0) != x.shape(1))
    throw nb::value_error(("norm has " + std::to_string(norm.shape(0)) + " numbers; " +
                           std::to_string(x.shape(1)) + " expected").c_str());
  Prologue prologue{Prologue::rms_norm};
  prologue.norm_weight = norm.data();
  prologue.eps = eps;
  run(x, weight.in_features(), weight, prologue, out, false, adapters, place);
}

void linear_add(const Matrix& x, const Linear& weight, const Result& residual,
                const AdapterPlan* adapters, int place) {
  run(x, weight.in_features(), weight, Prologue{}, residual, true, adapters, place);
}

void gated_linear_add(const Matrix& gate_up, const char* activation, const Linear& weight,
                      const Result& residual, const AdapterPlan* adapters, int place) {
  Prologue prologue{Prologue::gated};
  prologue.activation = activation_named(activation);
  run(gate_up, 2 * static_cast<std::size_t>(weight.in_features()), weight, prologue, residual,
      true, adapters, place);
}

}  // namespace

void bind_linear(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Linear>(m, "Linear",
                     "A matrix [n, k] packed in panels (native/kernels/linear.hpp). Its arrays are "
                     "used where they are and kept alive.")
      .def(nb::init<const std::string&, int, int, Linear::Bytes, std::optional<Linear::Floats>, int,
                    int>(),
           "dtype"_a, "n"_a, "k"_a, "panels"_a.noconvert(),
           "scales"_a.none().noconvert(), "weight_group"_a = 0,
           "activation_group"_a = 0)
      .def_prop_ro("in_features", &Linear::in_features)
      .def_prop_ro("out_features", &Linear::out_features);
  // noconvert: an array of another dtype or order is an error, not a silent copy.
  m.def("norm_linear", &norm_linear, "x"_a.noconvert(), "norm"_a.noconvert(), "eps"_a, "weight"_a,
        "out"_a.noconvert(), "adapters"_a.none() = nb::none(), "place"_a = 0,
        "out = rms_norm(x, norm, eps) · weightᵀ; float32 [M, K] -> [M, N]. Then, as the others too, "
        "what the adapters add at this place.");
  m.def("linear_add", &linear_add, "x"_a.noconvert(), "weight"_a, "residual"_a.noconvert(),
        "adapters"_a.none() = nb::none(), "place"_a = 0,
        "residual += x · weightᵀ; float32 [M, K], [M, N].");
  m.def("gated_linear_add", &gated_linear_add, "gate_up"_a.noconvert(), "activation"_a, "weight"_a,
        "residual"_a.noconvert(), "adapters"_a.none() = nb::none(), "place"_a = 0,
        "residual += (activation(gate) · up) · weightᵀ; gate_up float32 [M, 2 K]: gates, "
        "then ups.");
}
