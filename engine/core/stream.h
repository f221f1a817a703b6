// Where work is queued: one type a backend. Every kernel is a set of overloads on the stream type, so a
// backend that lacks one is a link error. `Stream` is the choice made at run time; visit() turns it back into
// a type.
#pragma once

#include <utility>
#include <variant>

#include "engine/core/dtype.h"
#include "engine/core/thread_pool.h"

namespace ft {

/// The CPU: work runs when it is called, on the pool's threads.
class CpuStream {
 public:
  explicit CpuStream(ThreadPool& pool) : pool_(&pool) {}
  /// f(task) or f(task, thread) for every task; see ThreadPool::run.
  template <class F>
  void parallel(int64_t tasks, F&& f) {
    if constexpr (std::is_invocable_v<F&, int64_t, int>)
      pool_->run(tasks, f);
    else
      pool_->run(tasks, [&](int64_t task, int) { f(task); });
  }
  int threads() const { return pool_->threads(); }

 private:
  ThreadPool* pool_;
};

class Stream {
 public:
  explicit Stream(CpuStream s) : stream_(s) {}
  template <class F>
  decltype(auto) visit(F&& f) {
    return std::visit(std::forward<F>(f), stream_);
  }

 private:
  std::variant<CpuStream> stream_;
};

/// Calls f.operator()<T>(stream) with the compute type and the backend's stream.
template <class F>
void launch(Stream& stream, DType compute, F&& f) {
  dispatch_compute(compute, [&]<class T>() { stream.visit([&](auto& s) { f.template operator()<T>(s); }); });
}

}  // namespace ft
