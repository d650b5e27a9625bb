// The layers of a decoder for Python: checks a step once, then leaves the GIL for all layers.
#include "ops/layers.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <mutex>
#include <tuple>

#include "bindings/cache.hpp"
#include "bindings/linear.hpp"
#include "bindings/lora.hpp"

namespace {

using Norm = Input<float, 1>;

// Keeps alive what it is made of, and the memory of a step.
class DecoderLayers {
 public:
  // input_norm, qkv, output, post_attention_norm, gate_up, down.
  using Spec = std::tuple<Norm, nb::object, nb::object, Norm, nb::object, nb::object>;

  DecoderLayers(std::vector<Spec> specs, float eps, const char* activation)
      : specs_(std::move(specs)), layers_{{}, eps, activation_named(activation)} {
    require(!specs_.empty(), "a decoder has at least one layer");
    for (const auto& [input_norm, qkv, output, post_norm, gate_up, down] : specs_)
      layers_.layers.push_back({input_norm.data(), matrix(qkv), matrix(output), post_norm.data(),
                                matrix(gate_up), matrix(down)});
    const homerun::Layer& first = layers_.layers.front();
    const int hidden = first.qkv->k;
    for (std::size_t i = 0; i < specs_.size(); i++) {
      const homerun::Layer& one = layers_.layers[i];
      require(std::get<0>(specs_[i]).shape(0) == std::size_t(hidden) &&
                  std::get<3>(specs_[i]).shape(0) == std::size_t(hidden) &&
                  one.qkv->k == hidden && one.output->n == hidden && one.gate_up->k == hidden &&
                  one.down->n == hidden && one.gate_up->n == 2 * one.down->k &&
                  one.qkv->n == first.qkv->n && one.output->k == first.output->k &&
                  one.gate_up->n == first.gate_up->n,
              "the matrices of the layers do not fit together");
    }
  }

  void run(Output<float, 2> x, Input<float, 2> cosines, Input<float, 2> sines, CacheArray keys,
           CacheArray values, const char* dtype, Input<std::int64_t, 1> slots,
           const homerun::AttentionPlan& plan, std::optional<ScaleArray> scales,
           const AdapterPlan* adapters) {
    const homerun::Layer& first = layers_.layers.front();
    const std::size_t rows = x.shape(0), count = layers_.layers.size();
    require(x.shape(1) == std::size_t(first.qkv->k), "x must be [rows, hidden]");
    require(keys.shape(0) == count, "the cache has another number of layers");
    homerun::Step step{extent(rows), 0, cosines.data(), sines.data(), slots.data(), &plan, {}};
    step.layers.resize(count);
    for (std::size_t i = 0; i < count; i++)
      step.layers[i].cache = cache_layer(keys, values, scales, dtype, static_cast<int>(i));
    const homerun::CacheLayer& cache = step.layers.front().cache;
    step.heads = first.output->k / cache.head_dim;
    require(step.heads * cache.head_dim == first.output->k &&
                (step.heads + 2 * cache.kv_heads) * cache.head_dim == first.qkv->n,
            "the heads of the cache are not those of the layers");
    check_rotations(rows, cache, keys, cosines, sines, slots);
    check_plan(rows, step.heads, cache, keys, plan);
    for (std::size_t i = 0; i < count; i++) {
      const homerun::Layer& layer = layers_.layers[i];
      int site = 0;
      for (const homerun::LinearWeight* weight :
           {layer.qkv, layer.output, layer.gate_up, layer.down}) {
        require_kernels(*weight);
        if (adapters)
          step.layers[i].adapters[site] = adapters->segments(static_cast<int>(4 * i) + site,
                                                             step.rows, weight->n, weight->k);
        site++;
      }
    }
    const GilReleased released;
    // Not free during another step, nor ever in a child that was forked during one.
    const std::unique_lock mine(mutex_, std::try_to_lock);
    homerun::Scratch own;
    homerun::run_layers(layers_, step, x.data(), mine ? memory_ : own);
  }

 private:
  static const homerun::LinearWeight* matrix(const nb::object& object) {
    const Linear* linear;
    if (!nb::try_cast(object, linear) || !linear)
      throw nb::type_error("the matrices of a layer are Linear");
    return &linear->weight();
  }

  std::vector<Spec> specs_;
  homerun::Layers layers_;
  homerun::Scratch memory_;
  std::mutex mutex_;
};

}  // namespace

void bind_layers(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<DecoderLayers>(m, "DecoderLayers", "The layers of a decoder (native/ops/layers.hpp).")
      .def(nb::init<std::vector<DecoderLayers::Spec>, float, const char*>(),
           "layers"_a.noconvert(), "eps"_a, "activation"_a,
           "layers: (input_norm, qkv, output, post_attention_norm, gate_up, down) of each.")
      .def("run", &DecoderLayers::run, "x"_a.noconvert(), "cosines"_a.noconvert(),
           "sines"_a.noconvert(), "keys"_a.noconvert(), "values"_a.noconvert(), "dtype"_a,
           "slots"_a.noconvert(), "plan"_a, "scales"_a.noconvert().none(), "adapters"_a.none(),
           "x float32 [M, hidden] through all layers, in place; the other arguments are those of "
           "the single operations.");
}
