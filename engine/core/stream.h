// The stream chosen at run time: `Stream` holds one of the backends that this program has, visit() turns it
// back into a type. Kernels and op headers see engine/core/backend_streams.h alone, so their objects are the
// same in every program.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/core/backend_streams.h"

namespace ft {

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
