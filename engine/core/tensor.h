// A shape, a type and shared storage; always contiguous (a view is a range of whole rows), no gradients, no
// arithmetic (that is engine/ops).
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/device.h"
#include "engine/core/dtype.h"

namespace ft {

/// Up to four extents, outermost first.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    FT_CHECK(dims.size() <= dims_.size(), "[shape] expected at most 4 dimensions, got {}", dims.size());
    for (const int64_t d : dims) dims_[rank_++] = d;
  }
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[i]; }
  void set(int i, int64_t extent) { dims_[i] = extent; }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }
  std::string str() const;  // "[2, 3]"
  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<int64_t, 4> dims_{};
  int rank_ = 0;
};

class Tensor {
 public:
  Tensor() = default;
  /// Not initialised.
  static Tensor empty(Shape shape, DType dtype, MemoryClass c = MemoryClass::activations, Device device = {});
  static Tensor zeros(Shape shape, DType dtype, MemoryClass c = MemoryClass::activations, Device device = {});

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  Device device() const;
  size_t bytes() const { return static_cast<size_t>(numel()) * size_of(dtype_); }

  template <class T>
  T* data() const {
    FT_CHECK(dtype_ == dtype_of<T>, "[tensor] expected {}, got {}", dtype_name(dtype_of<T>),
             dtype_name(dtype_));
    return static_cast<T*>(raw());
  }
  void* raw() const;

  /// The same storage seen with another shape of as many elements.
  Tensor reshape(Shape shape) const;
  /// Rows [begin, end) of the outermost dimension, sharing the storage.
  Tensor rows(int64_t begin, int64_t end) const;
  /// Does anybody else hold this storage? (Then it must be copied before it is changed.)
  bool shared() const { return storage_.use_count() > 1; }
  Tensor clone(MemoryClass c) const;
  /// A copy in the memory of `target`; this tensor itself when it is there already.
  Tensor to(Device target, MemoryClass c = MemoryClass::activations) const;
  /// All elements, on the host.
  template <class T>
  std::vector<T> to_vector() const {
    std::vector<T> v(static_cast<size_t>(numel()));
    copy_to_host(device(), v.data(), data<T>(), bytes());
    return v;
  }
  void zero();

 private:
  struct Storage;
  std::shared_ptr<Storage> storage_;
  Shape shape_;
  DType dtype_ = DType::f32;
  size_t offset_ = 0;  // bytes into the storage
};

}  // namespace ft
