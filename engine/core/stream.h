// Where work is queued: one type a backend. Every kernel is a set of overloads on the stream type, so a
// backend that lacks one is a link error. `Stream` is the choice made at run time; visit() turns it back into
// a type.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

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
  using Compute = ComputeTypes<float, BF16>;
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

#ifdef FT_CUDA
using AnyStream = std::variant<CpuStream, CudaStream>;
#else
using AnyStream = std::variant<CpuStream>;
#endif

class Stream {
 public:
  template <class S>
  requires std::is_constructible_v<AnyStream, S>
  explicit Stream(S s) : stream_(std::move(s)) {}
  template <class F>
  decltype(auto) visit(F&& f) {
    return std::visit(std::forward<F>(f), stream_);
  }
  Device device() const {
    return std::visit([](const auto& s) { return s.device(); }, stream_);
  }

 private:
  AnyStream stream_;
};

/// Devices that this program was built for: "cpu", and "cuda" or "cuda-sim".
std::vector<std::string> device_names();
/// One line on the CUDA backend of this program and the devices that it sees.
std::string cuda_description();
/// The stream of `name`: auto (a CUDA device where there is one, else the CPU), cpu, cuda, cuda:N or
/// cuda-sim; nothing where this program was not built for it. Throws ft::InputError where the machine lacks
/// it.
std::optional<Stream> open_stream(std::string_view name, const CpuStream& host);

/// Work of the host beside the kernels, f(task) for every task: on the pool's threads where the stream has
/// one.
template <class F>
void on_host(Stream& stream, int64_t tasks, F&& f) {
  stream.visit([&]<class S>(S& s) {
    if constexpr (std::is_same_v<S, CpuStream>) {
      s.parallel(tasks, f);
    } else {
      for (int64_t i = 0; i < tasks; ++i) f(i);
    }
  });
}

/// Calls f.operator()<T>(stream) with the type of the activations and the backend's stream.
template <class F>
void launch(Stream& stream, DType compute, F&& f) {
  stream.visit([&](auto& s) {
    dispatch_compute(typename std::remove_reference_t<decltype(s)>::Compute(), compute,
                     [&]<class T>() { f.template operator()<T>(s); });
  });
}
/// The same with the type of trained parameters.
template <class F>
void launch_on_parameters(Stream& stream, DType type, F&& f) {
  stream.visit([&](auto& s) {
    dispatch_compute(typename std::remove_reference_t<decltype(s)>::Parameters(), type,
                     [&]<class T>() { f.template operator()<T>(s); });
  });
}

}  // namespace ft
