// Adapters, as Python sees them: checks shapes and offsets.
#include "bindings/lora.hpp"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "ops/linear.hpp"

namespace {

// The kernels count these in `int`.
constexpr int kMostRank = 1 << 10, kMostNumbers = 1 << 24, kMostPlaces = 1 << 13;

homerun::DType factor_dtype(const std::string& name) {
  if (name == "fp32") return homerun::DType::fp32;
  if (name == "fp16") return homerun::DType::fp16;
  if (name == "bf16") return homerun::DType::bf16;
  throw nb::value_error(("factors are fp32, fp16 or bf16, not " + name).c_str());
}

std::int64_t padded(std::int64_t n, int unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

Adapter::Adapter(const std::string& dtype, Bytes data, const std::vector<PlaceSpec>& places)
    : data_(std::move(data)), dtype_(factor_dtype(dtype)) {
  require(places.size() <= kMostPlaces, "an adapter has more than 2^13 places");
  for (const auto& [k, a, specs] : places) {
    require(k >= 1 && k <= kMostNumbers, "k is between 1 and 2^24");
    std::vector<homerun::LoraPart> parts;
    std::vector<float> scalings;
    for (const auto& [rank, scaling, first, columns, b] : specs) {
      require(rank >= 1 && rank <= kMostRank, "rank is between 1 and 1024");
      require(first >= 0 && columns >= 1 && columns <= kMostNumbers && first <= kMostNumbers,
              "columns are between 0 and 2^24");
      require(parts.empty() || first >= parts.back().first_column + parts.back().columns,
              "the modules of a place follow each other and share no column");
      const std::int64_t numbers = padded(columns, homerun::kPanel) * rank;
      parts.push_back({at(b, numbers), static_cast<int>(scalings.size()), rank, first, columns});
      scalings.insert(scalings.end(), rank, scaling);
    }
    require(scalings.size() <= kMostRank, "the ranks of a place add up to more than 1024");
    const int ranks = static_cast<int>(scalings.size());
    const void* factors = at(a, padded(k, homerun::kRankStep) * ranks);
    // Moving a vector leaves its numbers where they are.
    parts_.push_back(std::move(parts));
    scalings_.push_back(std::move(scalings));
    places_.push_back({dtype_, k, ranks, factors, scalings_.back().data(), parts_.back().data(),
                       static_cast<int>(parts_.back().size())});
  }
}

const void* Adapter::at(std::int64_t offset, std::int64_t numbers) const {
  const auto size = static_cast<std::int64_t>(homerun::bytes_of(dtype_));
  const auto all = static_cast<std::int64_t>(data_.nbytes());
  require(offset >= 0 && offset <= all && numbers * size <= all - offset,
          "factors lie beyond the end of the bytes");
  const std::uint8_t* found = data_.data() + offset;
  require(reinterpret_cast<std::uintptr_t>(found) % size == 0, "factors are not aligned");
  return found;
}

AdapterPlan::AdapterPlan(const Uses& uses) {
  std::vector<std::int32_t> all;
  for (const auto& [owner, rows] : uses) {
    const Adapter* adapter;
    if (!nb::try_cast(owner, adapter) || !adapter)
      throw nb::type_error("a plan is made of pairs of an Adapter and rows");
    std::vector<std::int32_t> sorted(rows.data(), rows.data() + rows.shape(0));
    std::sort(sorted.begin(), sorted.end());
    all.insert(all.end(), sorted.begin(), sorted.end());
    uses_.push_back({owner, adapter, std::move(sorted)});
  }
  std::sort(all.begin(), all.end());
  require(all.empty() || all.front() >= 0, "rows begin at 0");
  require(std::adjacent_find(all.begin(), all.end()) == all.end(), "a row is used twice");
  rows_ = all.empty() ? 0 : all.back() + 1;
}

std::vector<homerun::LoraSegment> AdapterPlan::segments(int place, int rows, int n, int k) const {
  require(rows_ <= rows, "the plan has rows that the product has not");
  std::vector<homerun::LoraSegment> found;
  for (const Use& use : uses_) {
    require(place >= 0 && place < use.adapter->places(), "an adapter has no such place");
    const homerun::LoraPlace& factors = use.adapter->place(place);
    if (factors.part_count == 0) continue;
    require(factors.k == k, "an adapter's A has not the product's k");
    for (int p = 0; p < factors.part_count; p++)
      require(factors.parts[p].first_column + factors.parts[p].columns <= n,
              "an adapter's B has columns that the product has not");
    found.push_back({&factors, use.rows.data(), static_cast<int>(use.rows.size())});
  }
  return found;
}

void bind_lora(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Adapter>(m, "Adapter",
                      "Packed factors (native/kernels/lora.hpp). Their bytes are used where they "
                      "are and kept alive.")
      .def(nb::init<const std::string&, Adapter::Bytes, const std::vector<Adapter::PlaceSpec>&>(),
           "dtype"_a, "data"_a.noconvert(), "places"_a,
           "places: (k, where A begins, [(rank, scaling, first column, columns, where B begins)]).");
  nb::class_<AdapterPlan>(m, "AdapterPlan", "Which rows of a batch use which adapter.")
      .def(nb::init<const AdapterPlan::Uses&>(), "uses"_a,
           "uses: pairs of an Adapter and its rows, int32; no row twice.");
}
