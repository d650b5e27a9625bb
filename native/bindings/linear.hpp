// A packed matrix, as Python made it; products and layers take it.
#pragma once

#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "ops/linear.hpp"

// A packed matrix. Keeps the arrays alive that it was made of; copies nothing.
class Linear {
 public:
  using Bytes = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
  using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

  Linear(const std::string& dtype, int n, int k, Bytes panels, std::optional<Floats> scales,
         int weight_group, int activation_group);

  const homerun::LinearWeight& weight() const { return weight_; }
  int in_features() const { return weight_.k; }
  int out_features() const { return weight_.n; }

 private:
  Bytes panels_;
  std::optional<Floats> scales_;
  homerun::LinearWeight weight_;
};

// Raises RuntimeError if the instruction set in use has no kernels for it.
void require_kernels(const homerun::LinearWeight& weight);
