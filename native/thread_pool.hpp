// Threads that compute one operation together and sleep in between.
// Knows threads, forks and sleeping; knows nothing of what is computed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace homerun {

// While it lives the pool is this thread's: what others want to run, to change (the number of
// threads, the instruction set) and forks wait. An operation holds one if it calls `run` several
// times or has memory for each of the `threads`. A thread may hold several.
class Turn {
 public:
  Turn();
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
};

class ThreadPool {
 public:
  // `threads` counts the calling thread. The others start with the first operation that wants them,
  // and start again in a forked child.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // Ends the workers and goes on with another number, after the operation that runs.
  void set_threads(int threads);

  // Calls body(index, thread) once for every index in [0, count), in any order, on any of the
  // threads (thread < threads(); the caller is 0); returns when all are done. What an index computes
  // must not depend on `thread` or on the order. The body may not throw, and may not call run.
  // Calls by several threads take turns, unless there is nothing to share (count or threads 1).
  // On every thread floats are plain (plain_floats.hpp).
  template <class Body>
  void run(std::int64_t count, Body&& body) noexcept {
    using Plain = std::remove_reference_t<Body>;
    run_erased(
        count,
        [](void* context, std::int64_t index, int thread) noexcept {
          (*static_cast<Plain*>(context))(index, thread);
        },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

 private:
  using Call = void (*)(void* context, std::int64_t index, int thread);
  void run_erased(std::int64_t count, Call call, void* context) noexcept;

  struct Crew;
  std::atomic<int> threads_;
  std::unique_ptr<Crew> crew_;
};

// CPUs that this process may run on.
int usable_cpus();

// The one pool of the process, with as many threads as there are usable CPUs; `set_threads` changes
// the number.
ThreadPool& pool();
void set_threads(int threads);

}  // namespace homerun
