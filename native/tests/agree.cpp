// Do all instruction sets of this build that this CPU has give the same bytes?
//
// Every case runs once under each of them, and what it records is compared with the record of the
// first one (portable C++). Ends with status 1 if a case differs. The digest of what portable C++
// gives is printed last: it is the same on every processor.
#include <cmath>
#include <cstdio>

#include "kernels/kernels.hpp"
#include "tests/agreement.hpp"
#include "thread_pool.hpp"

namespace homerun::agreement {
namespace {

float tolerance_of(const Case& one, const std::string& set) {
  return set == "amx" || (set == "avx512_bf16" && !one.only_amx) ? one.tolerance : 0;
}

float number(std::uint32_t word) {
  float x;
  std::memcpy(&x, &word, sizeof x);
  return x;
}

// FNV-1a of all words.
std::uint64_t digest(const std::vector<Record>& records) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const Record& record : records)
    for (const std::uint32_t word : record.words()) hash = (hash ^ word) * 0x100000001b3u;
  return hash;
}

// The first word that differs, or the number of words.
std::size_t first_difference(const Record& a, const Record& b, float tolerance) {
  const auto& x = a.words();
  const auto& y = b.words();
  if (x.size() != y.size()) return 0;
  for (std::size_t i = 0; i < x.size(); i++) {
    if (x[i] == y[i]) continue;
    const float want = number(x[i]), got = number(y[i]);
    if (std::fabs(got - want) <= tolerance * std::fmax(1.0f, std::fabs(want))) continue;
    return i;
  }
  return x.size();
}

int run() {
  std::vector<Case> cases;
  for (const auto& some : {lane_cases(), elementwise_cases(), linear_cases(), lora_cases(),
                           attention_cases(), sampling_cases()})
    cases.insert(cases.end(), some.begin(), some.end());

  std::vector<Record> expected;
  const char* const* sets = instruction_sets();
  int wrong = 0;
  for (const char* const* set = sets; *set; set++) {
    if (!force_instruction_set(*set)) return std::printf("%s: cannot be forced\n", *set), 1;
    std::size_t words = 0;
    for (std::size_t i = 0; i < cases.size(); i++) {
      Record record;
      cases[i].run(record);
      words += record.words().size();
      if (set == sets) {
        expected.push_back(std::move(record));
        continue;
      }
      const float tolerance = tolerance_of(cases[i], *set);
      const std::size_t at = first_difference(expected[i], record, tolerance);
      if (at == record.words().size()) continue;
      wrong++;
      const std::uint32_t want = expected[i].words()[at], got = record.words()[at];
      std::printf("%s: %s: word %zu of %zu is %08x (%g), on %s %08x (%g)\n", *set,
                  cases[i].name.c_str(), at, record.words().size(), got, number(got), sets[0], want,
                  number(want));
    }
    std::printf("%s: %zu cases, %zu words\n", *set, cases.size(), words);
  }
  if (wrong) return std::printf("%d cases differ\n", wrong), 1;
  std::printf("all agree on %016llx\n", static_cast<unsigned long long>(digest(expected)));
  return 0;
}

}  // namespace
}  // namespace homerun::agreement

int main() {
  homerun::set_threads(2);
  return homerun::agreement::run();
}
