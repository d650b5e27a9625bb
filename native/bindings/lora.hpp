// Adapters and which rows of a batch use them, as Python made them; products and layers take them.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/arrays.hpp"
#include "ops/lora.hpp"

// The packed factors of one adapter. Keeps the array alive that they lie in; copies nothing.
class Adapter {
 public:
  using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  // rank, scaling, first column, columns, where B begins in the bytes.
  using PartSpec = std::tuple<int, float, int, int, std::int64_t>;
  // k, where A begins in the bytes, the parts; no parts where nothing is added.
  using PlaceSpec = std::tuple<int, std::int64_t, std::vector<PartSpec>>;

  Adapter(const std::string& dtype, Bytes data, const std::vector<PlaceSpec>& places);
  Adapter(const Adapter&) = delete;

  int places() const { return static_cast<int>(places_.size()); }
  const homerun::LoraPlace& place(int index) const { return places_[index]; }

 private:
  const void* at(std::int64_t offset, std::int64_t numbers) const;

  Bytes data_;
  homerun::DType dtype_;
  std::vector<std::vector<homerun::LoraPart>> parts_;
  std::vector<std::vector<float>> scalings_;
  std::vector<homerun::LoraPlace> places_;
};

// Which rows of a batch use which adapter.
class AdapterPlan {
 public:
  using Rows = Input<std::int32_t, 1>;
  using Uses = std::vector<std::pair<nb::object, Rows>>;

  explicit AdapterPlan(const Uses& uses);

  // Those at one place, for a product [rows, n] of k numbers per row. Raises ValueError for a place
  // or rows that there are not, and for adapters of other shapes.
  std::vector<homerun::LoraSegment> segments(int place, int rows, int n, int k) const;

 private:
  struct Use {
    nb::object owner;
    const Adapter* adapter;
    std::vector<std::int32_t> rows;
  };
  std::vector<Use> uses_;
  int rows_ = 0;  // one beyond the last that is used
};
