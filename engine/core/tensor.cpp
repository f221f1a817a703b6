#include "engine/core/tensor.h"

namespace ft {

struct Tensor::Storage {
  Storage(size_t n, MemoryClass c, Device d)
      : data(device_allocate(d, n, c)), bytes(n), memory(c), device(d) {}
  ~Storage() { device_free(device, data, bytes, memory); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data;
  size_t bytes;
  MemoryClass memory;
  Device device;
};

std::string Shape::str() const {
  return fmt::format("[{}]", fmt::join(dims(), ", "));
}

Tensor Tensor::empty(Shape shape, DType dtype, MemoryClass c, Device device) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(t.bytes(), c, device);
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype, MemoryClass c, Device device) {
  Tensor t = empty(shape, dtype, c, device);
  t.zero();
  return t;
}

Device Tensor::device() const {
  return storage_->device;
}

void* Tensor::raw() const {
  FT_CHECK(storage_ != nullptr, "[tensor] expected a tensor, got an undefined one");
  return static_cast<std::byte*>(storage_->data) + offset_;
}

Tensor Tensor::reshape(Shape shape) const {
  FT_CHECK(shape.numel() == numel(), "[reshape] expected {} elements as in {}, got {}", numel(), shape_.str(),
           shape.str());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  FT_CHECK(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0],
           "[rows] expected a range within {}, got [{}, {})", shape_.str(), begin, end);
  const size_t row_bytes = shape_[0] ? bytes() / static_cast<size_t>(shape_[0]) : 0;
  Tensor t = *this;
  t.shape_.set(0, end - begin);
  t.offset_ += static_cast<size_t>(begin) * row_bytes;
  return t;
}

Tensor Tensor::clone(MemoryClass c) const {
  Tensor t = empty(shape_, dtype_, c, device());
  copy_within(device(), t.raw(), raw(), bytes());
  return t;
}

Tensor Tensor::to(Device target, MemoryClass c) const {
  if (target == device()) return *this;
  Tensor t = empty(shape_, dtype_, c, target);
  if (target == Device()) {
    copy_to_host(device(), t.raw(), raw(), bytes());
  } else {
    FT_CHECK(device() == Device(), "[tensor] tensors move between the host and a device only");
    copy_from_host(target, t.raw(), raw(), bytes());
  }
  return t;
}

void Tensor::zero() {
  fill_zero(device(), raw(), bytes());
}

}  // namespace ft
