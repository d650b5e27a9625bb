// The crew of workers: how an operation is announced, shared out and waited for.
//
// An operation lies in `call_`, `context_`, `count_` while the gate is open. A worker that sees a new
// `announced_` number enters through the gate, takes indices until there are none, and leaves. The
// caller takes indices too, then shuts the gate and waits for those inside: a worker that was too
// sleepy to enter is not waited for.
#include "thread_pool.hpp"

#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "plain_floats.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace homerun {
namespace {

// How long a thread waits without sleeping. The next operation of a layer comes within the first,
// so that the workers are still awake, the next step of a small model within the second. Then they
// yield to whoever wants the CPU, the server's own Python most of all.
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr auto kYield = std::chrono::microseconds(400);

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // `yield` is too short to let anything else happen
#endif
}

// Waits for `time` at most without sleeping, after kSpin with yields; true as soon as done() is.
template <class Done>
bool spin(std::chrono::microseconds time, Done done) {
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration waited{};
  for (; waited < time; waited = std::chrono::steady_clock::now() - begin) {
    for (int i = 0; i < 32; i++) {
      if (done()) return true;
      pause();
    }
    if (waited > kSpin) std::this_thread::yield();
  }
  return false;
}

// Whoever has it has the turn. A fork takes it too, hence waits for the end of the operation that
// runs, so that the child finds nothing half done; there the workers of `forks` ago do not exist.
std::mutex& turn() {
  static std::mutex one;
  return one;
}
thread_local int turns_held = 0;  // of this thread
int forks = 0;

void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
  static const int watched = pthread_atfork([] { turn().lock(); }, [] { turn().unlock(); },
                                            [] {
                                              forks++;
                                              turn().unlock();
                                            });
  (void)watched;
#endif
}

// Signals are for the threads that Python knows: a worker starts with all of them blocked.
class SignalsBlocked {
#if defined(__unix__) || defined(__APPLE__)
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
#endif
};

#if defined(__unix__) || defined(__APPLE__)
// std::thread with a stack for the largest kernel, which keeps 0.7 MB there: the system's own size
// can be less (128 KiB with musl).
class Thread {
 public:
  // Calls body(). Throws std::system_error.
  template <class Body>
  explicit Thread(Body body) {
    auto owned = std::make_unique<Body>(std::move(body));
    const auto start = [](void* pointer) -> void* {
      const std::unique_ptr<Body> mine(static_cast<Body*>(pointer));
      (*mine)();
      return nullptr;
    };
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStack);
    const int error = pthread_create(&thread_, &attributes, start, owned.get());
    pthread_attr_destroy(&attributes);
    if (error) throw std::system_error(error, std::generic_category());
    (void)owned.release();
  }
  void join() { pthread_join(thread_, nullptr); }

 private:
  static constexpr std::size_t kStack = std::size_t{2} << 20;
  pthread_t thread_;
};
#else
using Thread = std::thread;
#endif

}  // namespace

Turn::Turn() {
  if (turns_held == 0) turn().lock();
  turns_held++;
}

Turn::~Turn() {
  turns_held--;
  if (turns_held == 0) turn().unlock();
}

struct ThreadPool::Crew {
  explicit Crew(int workers) : forks_then_(forks) {
    const SignalsBlocked blocked;
    spins_ = workers < usable_cpus();
    try {
      threads_.reserve(workers);
      for (int i = 1; i <= workers; i++) threads_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error&) {
      // The system gives no more threads: fewer do it too.
    }
  }

  ~Crew() {
    ending_ = true;
    announce();
    for (Thread& thread : threads_) thread.join();
  }

  bool in_this_process() const { return forks_then_ == forks; }

  void run(std::int64_t count, Call call, void* context) {
    call_ = call;
    context_ = context;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    gate_.store(kOpen, std::memory_order_release);
    announce();
    take(0);
    std::uint32_t inside = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
    if (inside == 0) return;
    if (spins_ && spin(kSpin, [&] { return gate_.load(std::memory_order_acquire) == 0; })) return;
    while ((inside = gate_.load(std::memory_order_acquire)) != 0) gate_.wait(inside);
  }

 private:
  static constexpr std::uint32_t kOpen = 1u << 31;  // the other bits count the workers inside

  void announce() {
    announced_.fetch_add(1);  // in order with the look for sleepers
    announced_.notify_all();  // costs a load if nobody sleeps
  }

  void take(int thread) {
    for (;;) {
      const std::int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) return;
      call_(context_, index, thread);
    }
  }

  bool enter() {
    std::uint32_t gate = gate_.load(std::memory_order_relaxed);
    while (gate & kOpen) {
      if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }

  void leave() {
    if (gate_.fetch_sub(1) == 1) gate_.notify_one();
  }

  void work(int thread) {
    const PlainFloats plain;
    std::uint32_t seen = 0;
    for (;;) {
      const auto something_new = [&] {
        return announced_.load(std::memory_order_acquire) != seen;
      };
      if (!spins_ || !spin(kYield, something_new)) announced_.wait(seen, std::memory_order_acquire);
      seen = announced_.load(std::memory_order_acquire);
      if (ending_.load(std::memory_order_acquire)) return;
      if (!enter()) continue;
      take(thread);
      leave();
    }
  }

  // What all write lies apart from what all read.
  alignas(64) std::atomic<std::uint32_t> announced_{0};
  std::atomic<bool> ending_{false};
  bool spins_ = true;  // not with more threads than CPUs: waiting would take time from working
  int forks_then_;
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::int64_t count_ = 0;
  alignas(64) std::atomic<std::uint32_t> gate_{0};
  alignas(64) std::atomic<std::int64_t> next_{0};
  std::vector<Thread> threads_;
};

ThreadPool::ThreadPool(int threads) : threads_(threads < 1 ? 1 : threads) { watch_forks(); }

ThreadPool::~ThreadPool() { set_threads(1); }

int ThreadPool::threads() const { return threads_.load(std::memory_order_relaxed); }

void ThreadPool::set_threads(int threads) {
  const Turn mine;
  // In a forked child the workers have gone and cannot be joined: their crew is forgotten.
  if (crew_ && !crew_->in_this_process()) (void)crew_.release();
  crew_.reset();
  threads_ = threads < 1 ? 1 : threads;
}

void ThreadPool::run_erased(std::int64_t count, Call call, void* context) noexcept {
  const PlainFloats plain;
  if (count <= 1 || threads() == 1) {
    for (std::int64_t i = 0; i < count; i++) call(context, i, 0);
    return;
  }
  const Turn mine;
  if (crew_ && !crew_->in_this_process()) (void)crew_.release();
  if (!crew_) crew_ = std::make_unique<Crew>(threads() - 1);
  crew_->run(count, call, context);
}

int usable_cpus() {
#if defined(__linux__)
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof mine, &mine) == 0) return CPU_COUNT(&mine);
#endif
  const unsigned all = std::thread::hardware_concurrency();
  return all ? static_cast<int>(all) : 1;
}

ThreadPool& pool() {
  // Never destroyed: at the end of the process the workers sleep, and die with it.
  static ThreadPool& one = *new ThreadPool(usable_cpus());
  return one;
}

void set_threads(int threads) { pool().set_threads(threads); }

}  // namespace homerun
