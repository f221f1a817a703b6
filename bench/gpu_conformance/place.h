// The two places where a case runs: the CPU backend and the program's CUDA device. An op's case is written
// once, as a template on the place and on the type of activations; places differ in streams, in the memory of
// buffers and in the layout of weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/ops/matmul.h"
#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/op_test.h"

namespace ft::bench {

using namespace test;  // the op tests' inputs, measures and device buffers

/// What results hold before an op runs: what it leaves out shows.
constexpr double kMark = 77;

/// A weight [rows, cols] where a place keeps it.
template <class Bytes>
struct PlacedWeight {
  Bytes bytes;
  PackedView view;
};

/// Plain rows in storage type `t`: f32, bf16 or f16.
inline std::vector<std::byte> stored(DType t, const std::vector<float>& values) {
  std::vector<std::byte> out(values.size() * size_of(t));
  for (size_t i = 0; i < values.size(); ++i) {
    std::byte* at = out.data() + i * size_of(t);
    const BF16 b = to_bf16(values[i]);
    const F16 h = to_f16(values[i]);
    if (t == DType::bf16)
      std::memcpy(at, &b, sizeof b);
    else if (t == DType::f16)
      std::memcpy(at, &h, sizeof h);
    else
      std::memcpy(at, &values[i], sizeof values[i]);
  }
  return out;
}
/// The numbers that remain of `values` in storage type `t`.
inline std::vector<float> rounded_to(DType t, std::vector<float> values) {
  for (float& v : values) {
    if (t == DType::bf16) v = to_float(to_bf16(v));
    if (t == DType::f16) v = to_float(to_f16(v));
  }
  return values;
}

struct OnDevice {
  static constexpr bool is_cpu = false;
  template <class T>
  using Buffer = DeviceVector<T>;
  using Weight = PlacedWeight<Buffer<std::byte>>;

  static CudaStream& stream() { return cuda_stream(); }
  /// `values` as T's.
  template <class T>
  static Buffer<T> buffer(const std::vector<float>& values) {
    return Buffer<T>(as_type<T>(values));
  }
  /// A weight in its storage type, as CUDA ops read it: plain rows.
  static Weight weight(DType storage, int64_t rows, int64_t cols, const std::vector<float>& values) {
    Weight w{Buffer<std::byte>(stored(storage, values)), {storage, rows, cols, nullptr}};
    w.view.data = w.bytes.data();
    return w;
  }
  /// Plain rows to and from the layout of a weight.
  static std::vector<float> packed(int64_t, int64_t, const std::vector<float>& plain) { return plain; }
  template <class T>
  static std::vector<T> unpacked(int64_t, int64_t, const std::vector<T>& layout) {
    return layout;
  }
};

struct OnCpu {
  static constexpr bool is_cpu = true;
  template <class T>
  class Buffer {
   public:
    explicit Buffer(std::vector<T> values) : values_(std::move(values)) {}
    explicit Buffer(int64_t count) : values_(static_cast<size_t>(count)) {}
    T* data() { return values_.data(); }
    const std::vector<T>& host() const { return values_; }

   private:
    std::vector<T> values_;
  };
  using Weight = PlacedWeight<Buffer<std::byte>>;

  static CpuStream& stream() { return test::stream(); }
  template <class T>
  static Buffer<T> buffer(const std::vector<float>& values) {
    return Buffer<T>(std::vector<T>(values.begin(), values.end()));
  }
  /// In panels, float32: it holds what any narrower storage type does.
  static Weight weight(DType storage, int64_t rows, int64_t cols, const std::vector<float>& values) {
    const std::vector<float> plain = packed(rows, cols, rounded_to(storage, values));
    Weight w{Buffer<std::byte>(stored(DType::f32, plain)), {DType::f32, rows, cols, nullptr}};
    w.view.data = w.bytes.data();
    return w;
  }
  static std::vector<float> packed(int64_t rows, int64_t cols, const std::vector<float>& plain) {
    std::vector<float> layout(static_cast<size_t>(packed_elements(rows, cols)));
    for (int64_t n = 0; n < rows; ++n)
      for (int64_t k = 0; k < cols; ++k)
        layout[static_cast<size_t>(packed_index(n, k, cols))] = plain[static_cast<size_t>(n * cols + k)];
    return layout;
  }
  template <class T>
  static std::vector<T> unpacked(int64_t rows, int64_t cols, const std::vector<T>& layout) {
    std::vector<T> plain;
    for (int64_t n = 0; n < rows; ++n)
      for (int64_t k = 0; k < cols; ++k)
        plain.push_back(layout[static_cast<size_t>(packed_index(n, k, cols))]);
    return plain;
  }
};

/// Room for `count` results of type T, all marks.
template <class T, class Place>
auto results_buffer(Place, int64_t count) {
  return Place::template buffer<T>(std::vector<float>(static_cast<size_t>(count), kMark));
}

}  // namespace ft::bench
