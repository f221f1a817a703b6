// Where work is queued: one type a backend. Every kernel is a set of overloads on the stream type, so a
// backend that lacks one is a link error.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/core/thread_pool.h"

struct CUstream_st;  // what CUDA's cudaStream_t points to

namespace ft {

/// The CPU: work runs when it is called, on the pool's threads.
class CpuStream {
 public:
  using Compute = ComputeTypes<float, double>;     // of activations
  using Parameters = ComputeTypes<float, double>;  // of what is trained
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
  Device device() const { return {}; }

 private:
  ThreadPool* pool_;
};

/// A CUDA device, or its simulator: work is queued and runs in the order of the calls. Its members, like
/// every overload on it, live in kernels/cuda: programs without that backend have the declaration only.
class CudaStream {
 public:
  using Compute = ComputeTypes<float, BF16, F16>;
  using Parameters = ComputeTypes<float>;
  /// The one stream of CUDA device `index`; handles to it are equal.
  explicit CudaStream(int index);
  Device device() const;
  CUstream_st* handle() const;
  /// Device memory of at least `bytes` for a launcher's partial results, 256-byte aligned, not initialised.
  /// Good until the next call: what is queued later runs later.
  void* scratch(size_t bytes);
  template <class T>
  T* scratch(int64_t count) {
    return static_cast<T*>(scratch(static_cast<size_t>(count) * sizeof(T)));
  }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace ft
