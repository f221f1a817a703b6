#include "engine/autograd/tape.h"

#include "engine/autograd/backward_fault.h"
#include "engine/ops/elementwise.h"

namespace ft {

Gradient::Slot Gradient::slot() const {
  Tensor& g = node_->sum;
  if (!g.defined()) {
    g = Tensor::empty(node_->shape, node_->dtype, MemoryClass::activations, node_->device);
    return {g, false};
  }
  if (g.shared()) g = g.clone(MemoryClass::activations);
  return {g, true};
}

void Gradient::add(Stream& stream, const Tensor& g) const {
  FT_CHECK(g.numel() == node_->shape.numel(), "[tape] expected a gradient like {}, got {}",
           node_->shape.str(), g.shape().str());
  if (!arrived()) {
    node_->sum = g.reshape(node_->shape);
    return;
  }
  const Tensor sum = slot().grad;
  launch(stream, g.dtype(), [&]<class T>(auto& s) {
    ft::add(s, AddArgs<T>{.count = g.numel(), .a = sum.data<T>(), .b = g.data<T>(), .y = sum.data<T>()});
  });
}

Tensor Gradient::take() const {
  Tensor g = std::move(node_->sum);
  node_->sum = {};
  return g.shared() ? g.clone(MemoryClass::activations) : g;
}

void PlacedArrays::place(Arrays arrays, Device device) {
  int64_t size = 0;
  for (const auto* a : arrays) size += static_cast<int64_t>(a->size());
  block = Tensor::empty({size}, DType::i32, MemoryClass::activations, device);
  const int32_t* at = block.data<int32_t>();
  for (const auto* a : arrays) {
    known.push_back({a->data(), at});
    at += a->size();
  }
}

void PlacedArrays::fill(Arrays values) const {
  std::vector<int32_t> all;
  for (const auto* v : values) all.insert(all.end(), v->begin(), v->end());
  FT_CHECK(static_cast<int64_t>(all.size()) == block.numel(), "[tape] expected {} values to place, got {}",
           block.numel(), all.size());
  copy_from_host(block.device(), block.raw(), all.data(), block.bytes());
}

Tape::Tape(Stream stream, DType compute, LayoutPtr layout, bool recording, PlacedArrays* placed)
    : stream_(stream), compute_(compute), layout_(std::move(layout)), recording_(recording), placed_(placed) {
  index_ = {{upload(layout_->bounds), layout_->samples()}, upload(layout_->row), upload(layout_->position)};
}

IndexView Tape::upload(std::span<const int32_t> values) {
  if (device() == Device()) return values.data();
  if (placed_) {
    for (const IndexView& array : placed_->known)
      if (array.host == values.data()) return array;
    if (placed_->keeps && placed_->next < placed_->made.size()) {
      const Tensor& made = placed_->made[placed_->next++];
      FT_CHECK(made.numel() == static_cast<int64_t>(values.size()), "[tape] expected an array of {}, got {}",
               made.numel(), values.size());
      return {values.data(), made.data<int32_t>()};
    }
  }
  const Tensor copy =
      Tensor::empty({static_cast<int64_t>(values.size())}, DType::i32, MemoryClass::workspace, device());
  copy_from_host(device(), copy.raw(), values.data(), values.size_bytes());
  if (placed_ && placed_->keeps)
    placed_->made.push_back(copy), ++placed_->next;
  else
    uploads_.push_back(copy);
  return {values.data(), copy.data<int32_t>()};
}

void Tape::backward() {
  for (int64_t n = 0; !entries_.empty();) {
    const Entry entry = std::move(entries_.back());
    entries_.pop_back();
    if (!entry.output.arrived()) continue;
    if (backward_faults()) [[unlikely]]
      damage_gradient(entry.output, n++);
    entry.backward();
  }
}

Var Tape::checkpoint(const Var& input, bool wanted, std::function<Var(const Var&)> f) {
  if (!wants(input, wanted)) return f(input);
  recording_ = false;
  Var value;
  try {
    value = f(input);
  } catch (...) {
    recording_ = true;
    throw;
  }
  recording_ = true;
  const Var output(value.value(), true);
  record(output.gradient(), [this, input, output = output.gradient(), f = std::move(f)] {
    const Var inside(input.value(), input.requires_grad());
    std::vector<Entry> outer = std::move(entries_);
    entries_.clear();
    f(inside).gradient().add(stream_, output.take());
    backward();
    entries_ = std::move(outer);
    if (inside.gradient().arrived()) input.gradient().add(stream_, inside.gradient().take());
  });
  return output;
}

}  // namespace ft
