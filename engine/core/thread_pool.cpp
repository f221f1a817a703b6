#include "engine/core/thread_pool.h"

#include <sched.h>

#include <cstdlib>
#include <utility>

#include "engine/core/check.h"

namespace ft {
namespace {

thread_local bool inside_task = false;

// A worker looks for new work this often before it sleeps: about ten microseconds, the gap between two
// kernels.
constexpr int kSpins = 2000;
constexpr uint64_t kTaskMask = 0xffffffff;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { work(t); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& w : workers_) w.join();
}

int ThreadPool::default_threads() {
  for (const char* name : {"FT_NUM_THREADS", "OMP_NUM_THREADS"}) {
    const char* value = std::getenv(name);
    if (!value) continue;
    const int n = std::atoi(value);
    if (n >= 1 && n <= 1024) return n;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  const unsigned n = std::thread::hardware_concurrency();
  return n ? static_cast<int>(n) : 1;
}

void ThreadPool::drain(uint64_t generation, int thread) {
  uint64_t state = state_.load(std::memory_order_acquire);
  while (state >> 32 == generation) {
    const auto task = static_cast<int64_t>(state & kTaskMask);
    const int64_t tasks = tasks_.load(std::memory_order_acquire);
    const Call call = call_.load(std::memory_order_acquire);
    void* fn = fn_.load(std::memory_order_acquire);
    if (task >= tasks) return;
    // Success means that the job is still this one, so what was read above belongs to it.
    if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel, std::memory_order_acquire))
      continue;
    try {
      call(fn, task, thread);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 == tasks && thread != 0) {
      std::lock_guard lock(mutex_);
      done_.notify_one();
    }
    state = state_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work(int thread) {
  inside_task = true;
  uint64_t seen = 0;
  const auto news = [&] {
    return stop_.load(std::memory_order_relaxed) || state_.load(std::memory_order_acquire) >> 32 != seen;
  };
  while (true) {
    for (int i = 0; i < kSpins && !news(); ++i) relax();
    if (!news()) {
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, news);
      sleepers_.fetch_sub(1);
    }
    if (stop_.load(std::memory_order_relaxed)) return;
    seen = state_.load(std::memory_order_acquire) >> 32;
    drain(seen, thread);
  }
}

void ThreadPool::run_erased(int64_t tasks, Call call, void* fn) {
  if (tasks <= 0) return;
  if (tasks == 1 || workers_.empty() || inside_task) {
    for (int64_t t = 0; t < tasks; ++t) call(fn, t, 0);
    return;
  }
  FT_CHECK(tasks < static_cast<int64_t>(kTaskMask), "[threads] expected fewer than 2^32 tasks, got {}",
           tasks);
  const uint64_t generation = ((state_.load(std::memory_order_relaxed) >> 32) + 1) & kTaskMask;
  {
    std::lock_guard lock(mutex_);  // a worker that is about to sleep sees either the old number or this one
    // Closed first: a worker that reads a field of the new job cannot claim anything under the old number.
    state_.store(state_.load(std::memory_order_relaxed) | kTaskMask, std::memory_order_relaxed);
    tasks_.store(tasks, std::memory_order_release);
    call_.store(call, std::memory_order_release);
    fn_.store(fn, std::memory_order_release);
    finished_.store(0, std::memory_order_relaxed);
    error_ = nullptr;
    state_.store(generation << 32, std::memory_order_release);
  }
  if (sleepers_.load() > 0) wake_.notify_all();
  inside_task = true;
  drain(generation, 0);
  inside_task = false;
  const auto done = [&] { return finished_.load(std::memory_order_acquire) == tasks; };
  for (int i = 0; i < kSpins && !done(); ++i) relax();
  if (!done()) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, done);
  }
  std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

}  // namespace ft
