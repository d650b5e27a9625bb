// Serial stand-in, to be replaced by the real pool.
#include "thread_pool.hpp"

namespace homerun {

struct ThreadPool::State {};

ThreadPool::ThreadPool(int) {}
ThreadPool::~ThreadPool() = default;
int ThreadPool::threads() const { return 1; }
void ThreadPool::run_erased(std::int64_t count, Call call, void* context) {
  for (std::int64_t i = 0; i < count; i++) call(context, i, 0);
}

ThreadPool& pool() {
  static ThreadPool one(1);
  return one;
}
void set_threads(int) {}

}  // namespace homerun
