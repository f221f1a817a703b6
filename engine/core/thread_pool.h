// One pool of threads for the whole process. Work is cut by the problem's shape, never by the number of
// threads: a task's result depends on its index alone, so any thread count gives the same bits.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace ft {

class ThreadPool {
 public:
  /// `threads` counts the caller too; 1 means no worker at all.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls f(task, thread) for every task in [0, tasks), each once, thread in [0, threads()); returns when
  /// all are done. The first exception is rethrown here. A call from inside a task runs its tasks in place,
  /// as thread 0 of nobody's pool (tasks must not rely on `thread` across nested calls).
  template <class F>
  void run(int64_t tasks, F&& f) {
    using Fn = std::remove_reference_t<F>;
    run_erased(
        tasks, [](void* fn, int64_t task, int thread) { (*static_cast<Fn*>(fn))(task, thread); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

  /// Number of threads that FT_NUM_THREADS, OMP_NUM_THREADS or the processor's affinity ask for.
  static int default_threads();

 private:
  using Call = void (*)(void*, int64_t, int);
  void run_erased(int64_t tasks, Call call, void* fn);
  void work(int thread);
  void drain(uint64_t generation, int thread);

  // The job at hand. `state_` is its number (high half) and the next free task (low half): a task is claimed
  // by one compare-and-swap, which fails for a worker that woke up for a job that is over. So run() waits for
  // the tasks that were claimed and never for a worker that slept through.
  std::atomic<uint64_t> state_{0};
  std::atomic<int64_t> tasks_{0}, finished_{0};
  std::atomic<Call> call_{nullptr};
  std::atomic<void*> fn_{nullptr};

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<int> sleepers_{0};
  std::exception_ptr error_;
  std::atomic<bool> stop_{false};
};

}  // namespace ft
