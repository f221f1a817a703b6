// Buffers of the CUDA tests: a std::vector's copy in device memory, freed with its owner, and the small index
// arrays that ops want on both sides. Copies wait for everything queued before them, so a test reads results
// without a word about streams.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/core/index_view.h"
#include "engine/core/segments.h"
#include "engine/core/stream.h"
#include "kernels/cuda/launch.h"

namespace ft::test {

/// The stream of all CUDA tests: device 0.
inline CudaStream& cuda_stream() {
  static CudaStream stream(0);
  return stream;
}

/// `count` elements of device memory. Not copyable; uninitialised unless made from a host's vector. With
/// `skip` > 0, data() stands that many elements behind the allocation's (aligned) begin.
template <class T>
class DeviceVector {
 public:
  explicit DeviceVector(int64_t count, int64_t skip = 0) : count_(count) {
    if (count <= 0) return;
    const auto all = static_cast<size_t>(count + skip) * sizeof(T);
    check_cuda(cudaMalloc(reinterpret_cast<void**>(&allocation_), all), "cudaMalloc");
    data_ = allocation_ + skip;
  }
  explicit DeviceVector(const std::vector<T>& host, int64_t skip = 0)
      : DeviceVector(static_cast<int64_t>(host.size()), skip) {
    upload(host);
  }
  DeviceVector(DeviceVector&& other) noexcept
      : allocation_(std::exchange(other.allocation_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        count_(std::exchange(other.count_, 0)) {}
  DeviceVector(const DeviceVector&) = delete;
  DeviceVector& operator=(const DeviceVector&) = delete;
  DeviceVector& operator=(DeviceVector&&) = delete;
  ~DeviceVector() {
    cudaDeviceSynchronize();
    cudaFree(allocation_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return count_; }

  void upload(const std::vector<T>& host) {
    FT_CHECK(static_cast<int64_t>(host.size()) == count_, "[upload] expected {} elements, got {}", count_,
             host.size());
    copy(data_, host.data(), cudaMemcpyHostToDevice);
  }
  std::vector<T> host() const {
    std::vector<T> out(static_cast<size_t>(count_));
    copy(out.data(), data_, cudaMemcpyDeviceToHost);
    return out;
  }

 private:
  size_t bytes() const { return static_cast<size_t>(count_) * sizeof(T); }
  // The streams of the engine do not wait for the default stream that cudaMemcpy uses, nor it for them.
  void copy(void* to, const void* from, cudaMemcpyKind kind) const {
    check_cuda(cudaDeviceSynchronize(), "kernels before a copy");
    if (count_ > 0) check_cuda(cudaMemcpy(to, from, bytes(), kind), "cudaMemcpy");
    check_cuda(cudaDeviceSynchronize(), "cudaMemcpy");
  }

  T *allocation_ = nullptr, *data_ = nullptr;
  int64_t count_ = 0;
};

/// Ids, bounds, positions: the host's array and its device copy, as the ops take them.
class DeviceIndex {
 public:
  explicit DeviceIndex(std::vector<int32_t> host) : host_(std::move(host)), device_(host_) {}
  IndexView view() const { return {host_.data(), device_.data()}; }
  /// With the array as the samples' bounds.
  Segments segments() const { return {view(), static_cast<int32_t>(host_.size()) - 1}; }

 private:
  std::vector<int32_t> host_;
  DeviceVector<int32_t> device_;
};

}  // namespace ft::test
