// Choosing tokens for rows of logits: checks what comes from Python.
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "bindings/arrays.hpp"
#include "ops/philox.hpp"
#include "ops/sampling.hpp"

namespace {

using Logits = Input<float, 2>;
using Ints = Input<std::int32_t, 1>;

homerun::Sampling make_sampling(double temperature, std::optional<double> top_p,
                                std::optional<std::int64_t> top_k,
                                std::optional<double> repetition, std::optional<double> frequency,
                                std::optional<double> presence, std::uint64_t seed,
                                std::uint64_t choice) {
  if (!(temperature >= 0 && std::isfinite(temperature)))
    throw nb::value_error("temperature must be finite and not negative");
  return {temperature,           top_p.value_or(1.0),     top_k.value_or(0),
          repetition.value_or(0), frequency.value_or(0.0), presence.value_or(0.0),
          seed,                  choice};
}

// An argument [n] of int32, or None.
std::optional<Ints> ints(nb::handle object) {
  if (object.is_none()) return std::nullopt;
  Ints array;
  if (!nb::try_cast(object, array, false))
    throw nb::type_error("sample_rows: tokens and mask are int32 [n], contiguous, or None");
  return array;
}

void check_tokens(const homerun::SamplingRow& row, std::int64_t vocab) {
  if (row.prompt_length < 0 || row.prompt_length > row.token_count)
    throw nb::value_error("sample_rows: prompt_length must be in [0, len(tokens)]");
  const auto valid = [&](std::int32_t id) { return id >= 0 && id < vocab; };
  if (!std::all_of(row.tokens, row.tokens + row.token_count, valid))
    throw nb::value_error("sample_rows: a previous token is not in the vocabulary");
}

nb::list sample_rows(const Logits& logits, const nb::list& rows) {
  const std::size_t count = rows.size();
  const int vocab = extent(logits.shape(1));
  if (logits.shape(0) != count) throw nb::value_error("sample_rows: one row of logits per row");
  if (vocab == 0) throw nb::value_error("sample_rows: the vocabulary is empty");
  std::vector<homerun::SamplingRow> work(count);
  // What the pointers in `work` point to: other threads may change the list meanwhile.
  std::vector<nb::tuple> rows_alive(count);
  std::vector<Ints> alive;
  for (std::size_t i = 0; i < count; i++) {
    nb::tuple& row = rows_alive[i];
    if (!nb::try_cast(rows[i], row, false) || row.size() != 5)
      throw nb::type_error(
          "sample_rows: a row is (sampling, position, tokens, prompt_length, mask)");
    const homerun::Sampling* sampling = nullptr;
    if (!nb::try_cast(row[0], sampling, false) || !sampling)
      throw nb::type_error("sample_rows: sampling must be a Sampling");
    homerun::SamplingRow& out = work[i];
    out = {sampling, logits.data() + i * logits.shape(1),
           number<std::uint64_t>(row[1], "sample_rows: position is an integer of 64 bits"),
           nullptr, 0, 0, nullptr};
    if (auto tokens = ints(row[2])) {
      out.tokens = tokens->data();
      out.token_count = static_cast<std::int64_t>(tokens->shape(0));
      out.prompt_length = number<std::int64_t>(row[3], "sample_rows: prompt_length is an integer");
      check_tokens(out, vocab);
      alive.push_back(std::move(*tokens));
    }
    if (auto mask = ints(row[4])) {
      if (mask->shape(0) != (logits.shape(1) + 31) / 32)
        throw nb::value_error("sample_rows: a mask must be int32 [ceil(vocab / 32)]");
      out.mask = reinterpret_cast<const std::uint32_t*>(mask->data());
      alive.push_back(std::move(*mask));
    }
  }
  std::vector<std::int32_t> results(count);
  {
    const GilReleased released;
    homerun::sample_rows(work.data(), static_cast<int>(count), vocab, results.data());
  }
  nb::list ids;
  for (std::int32_t id : results) ids.append(id);
  return ids;
}

}  // namespace

void bind_sampling(nb::module_& m) {
  nb::class_<homerun::Sampling>(m, "Sampling", "How the tokens of one sequence are chosen.")
      .def("__init__",
           [](homerun::Sampling* self, double temperature, std::optional<double> top_p,
              std::optional<std::int64_t> top_k, std::optional<double> repetition,
              std::optional<double> frequency, std::optional<double> presence,
              std::uint64_t seed, std::uint64_t choice) {
             new (self) homerun::Sampling(make_sampling(temperature, top_p, top_k, repetition,
                                                        frequency, presence, seed, choice));
           },
           nb::arg("temperature"), nb::arg("top_p").none(), nb::arg("top_k").none(),
           nb::arg("repetition_penalty").none(), nb::arg("frequency_penalty").none(),
           nb::arg("presence_penalty").none(), nb::arg("seed"), nb::arg("choice"));
  m.def("sample_rows", &sample_rows, nb::arg("logits").noconvert(), nb::arg("rows"),
        "One token per row of `logits`, or -1 where the row is not finite; see engine/sampler.py.");
  m.def("uniform", &homerun::uniform, nb::arg("seed"), nb::arg("position"), nb::arg("choice"),
        nb::arg("purpose"), "A number in [0, 1), a pure function of the arguments (Philox).");
}
