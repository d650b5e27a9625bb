// Threads that compute one operation together and sleep in between.
#pragma once

#include <cstdint>
#include <memory>

namespace homerun {

class ThreadPool {
 public:
  // `threads` counts the calling thread: `threads - 1` workers are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(index, thread) once for every index in [0, count), in any order, on any of the
  // threads (thread < threads()); returns when all are done. Not re-entrant.
  template <class Body>
  void run(std::int64_t count, Body&& body) {
    run_erased(
        count,
        [](void* context, std::int64_t index, int thread) {
          (*static_cast<Body*>(context))(index, thread);
        },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

 private:
  using Call = void (*)(void* context, std::int64_t index, int thread);
  void run_erased(std::int64_t count, Call call, void* context);

  struct State;
  std::unique_ptr<State> state_;
};

// The one pool of the process. `set_threads` replaces it; never while an operation runs.
ThreadPool& pool();
void set_threads(int threads);

}  // namespace homerun
