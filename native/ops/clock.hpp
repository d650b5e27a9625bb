// How long the operations took, and how many multiply-adds the linears did: benchmarks divide by it.
// Knows a clock and four sums; they are never reset, who measures takes differences.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace homerun {

enum class Work : std::uint8_t { linear, attention, other };
constexpr int kWorks = 3;

struct WorkDone {
  std::atomic<std::int64_t> nanoseconds[kWorks] = {};
  std::atomic<std::int64_t> macs = 0;  // rows · N · K of all linears, without padding
};

inline WorkDone work_done;

// Adds the time until the end of its scope to one kind of work. One per operation, never nested:
//   Timed timed(Work::linear, std::int64_t{rows} * weight.n * weight.k);
class Timed {
 public:
  explicit Timed(Work kind, std::int64_t macs = 0) : kind_(kind), macs_(macs), began_(now()) {}
  ~Timed() {
    constexpr auto relaxed = std::memory_order_relaxed;
    work_done.nanoseconds[static_cast<int>(kind_)].fetch_add(now() - began_, relaxed);
    if (macs_) work_done.macs.fetch_add(macs_, relaxed);
  }
  Timed(const Timed&) = delete;

 private:
  static std::int64_t now() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
  }

  Work kind_;
  std::int64_t macs_;
  std::int64_t began_;
};

}  // namespace homerun
