// Operands of one launch in the memory of the stream's device, freed with their owner. Values are the same on
// every device and in every run: they come from a fixed sequence.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/core/backend_streams.h"
#include "engine/core/device.h"
#include "engine/core/index_view.h"
#include "engine/core/segments.h"

namespace ft::bench {

class Operands {
 public:
  explicit Operands(Device device) : device_(device) {}
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;
  ~Operands() {
    wait();
    for (const auto& [p, bytes] : blocks_) device_free(device_, p, bytes, MemoryClass::workspace);
  }

  /// n elements, even in [shift - scale, shift + scale).
  template <class T>
  T* numbers(int64_t n, float scale = 1, float shift = 0) {
    std::vector<T> host(static_cast<size_t>(n));
    for (T& x : host) {
      state_ = state_ * 1664525u + 1013904223u;
      const float value = shift + scale * (static_cast<float>(static_cast<int32_t>(state_)) * 0x1p-31f);
      if constexpr (std::is_same_v<T, BF16>)
        x = to_bf16(value);
      else if constexpr (std::is_same_v<T, F16>)
        x = to_f16(value);
      else
        x = static_cast<T>(value);
    }
    return copy_of(host);
  }
  /// n zeros: results, and what is added to.
  template <class T>
  T* zeros(int64_t n) {
    return copy_of(std::vector<T>(static_cast<size_t>(n)));
  }
  /// Structs that hold operands, on the host and (null on the CPU) on the device.
  template <class T>
  std::pair<std::span<const T>, const T*> structs(std::vector<T> values) {
    const auto kept = std::make_shared<const std::vector<T>>(std::move(values));
    structs_.push_back(kept);
    return {*kept, device_.kind == DeviceKind::cpu ? nullptr : copy_of(*kept)};
  }
  /// On the host and, where a device runs the kernels, there.
  IndexView indices(std::vector<int32_t> values) {
    const std::vector<int32_t>& host = indices_.emplace_back(std::move(values));
    return {host.data(), device_.kind == DeviceKind::cpu ? nullptr : copy_of(host)};
  }
  /// first, first + step, ...: n of them.
  IndexView sequence(int64_t n, int64_t step = 1, int64_t first = 0) {
    std::vector<int32_t> values;
    for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<int32_t>(first + i * step));
    return indices(std::move(values));
  }
  /// `tokens` in `samples` of equal length.
  Segments segments(int64_t tokens, int64_t samples) {
    return {sequence(samples + 1, tokens / samples), static_cast<int32_t>(samples)};
  }
  /// Returns when everything queued on the device so far is done.
  void wait() const {
    char byte = 0;
    if (!blocks_.empty()) copy_to_host(device_, &byte, blocks_[0].first, 1);
  }

 private:
  template <class T>
  T* copy_of(const std::vector<T>& host) {
    const size_t bytes = host.size() * sizeof(T);
    void* p = device_allocate(device_, bytes, MemoryClass::workspace);
    blocks_.emplace_back(p, bytes);
    copy_from_host(device_, p, host.data(), bytes);
    return static_cast<T*>(p);
  }

  Device device_;
  uint32_t state_ = 1;
  std::vector<std::pair<void*, size_t>> blocks_;
  std::deque<std::vector<int32_t>> indices_;
  std::vector<std::shared_ptr<const void>> structs_;
};

}  // namespace ft::bench
