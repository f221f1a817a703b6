// Reverse-mode differentiation by a tape of one pass.
//
// An op computes its value at once and, if an input wants a gradient, records a closure that turns the
// output's gradient into the inputs'. A closure holds the tensors that its backward reads and nothing else: a
// Var is a value and a Gradient, and closures capture the latter, so a value that no backward reads is freed
// as soon as the forward is past it. backward() runs the closures last to first and drops each after it ran.
// Gradients are moved where possible and copied on write; those of parameters are added to Parameter::grad.
// The order of every addition follows from the order of recording, so bits do not depend on anything else.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/autograd/layout.h"
#include "engine/autograd/parameter.h"
#include "engine/core/stream.h"
#include "engine/core/tensor.h"

namespace ft {

/// The gradient of one value of the graph: a handle, cheap to copy; empty for a value that wants none.
class Gradient {
 public:
  Gradient() = default;
  explicit Gradient(const Tensor& like)
      : node_(std::make_shared<Node>(Node{{}, like.shape(), like.dtype(), like.device()})) {}

  explicit operator bool() const { return node_ != nullptr; }
  /// Has any contribution arrived?
  bool arrived() const { return node_ && node_->sum.defined(); }
  const Tensor& sum() const { return node_->sum; }

  /// Where a kernel writes: `accumulate` says whether to add to what is there.
  struct Slot {
    Tensor grad;
    bool accumulate = false;
  };
  Slot slot() const;
  /// Adds a whole tensor; takes it over when it is the first contribution.
  void add(Stream& stream, const Tensor& g) const;
  /// Hands the sum out and forgets it; a copy if somebody else reads it, so the caller may change it.
  Tensor take() const;

 private:
  struct Node {
    Tensor sum;
    Shape shape;
    DType dtype;
    Device device;
  };
  std::shared_ptr<Node> node_;
};

/// A value in the graph.
class Var {
 public:
  Var() = default;
  explicit Var(Tensor value, bool requires_grad = false)
      : value_(std::move(value)), gradient_(requires_grad ? Gradient(value_) : Gradient()) {}

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  bool requires_grad() const { return static_cast<bool>(gradient_); }
  const Gradient& gradient() const { return gradient_; }

 private:
  Tensor value_;
  Gradient gradient_;
};

/// Arrays that a pass finds on the device already: a pass that is recorded and run again
/// (engine/core/stream_recording.h) can upload nothing. Then the host's values are those of one run among
/// many: kernels must read the device's, and what the host shapes after its own must serve all of them.
struct PlacedArrays {
  using Arrays = std::span<const std::vector<int32_t>* const>;
  /// One block of the device for `arrays`, whose addresses and sizes stay on the host.
  void place(Arrays arrays, Device device);
  /// Queues what they hold from now on: `values`, in the order of place(). The host's copy is free at once.
  void fill(Arrays values) const;

  Tensor block;
  std::vector<IndexView> known;  // by their address on the host
  // Arrays that ops make on their way, in order. The first pass uploads and leaves them here where `keeps` is
  // set, and the passes after it, which make the same ones, begin at 0 again.
  bool keeps = false;
  std::vector<Tensor> made;
  size_t next = 0;
};

class Tape {
 public:
  /// `placed` lives as long as the tape.
  Tape(Stream stream, DType compute, LayoutPtr layout, bool recording, PlacedArrays* placed = nullptr);
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Stream& stream() { return stream_; }
  DType compute() const { return compute_; }
  /// Of parameters, statistics and scalars beside activations of the compute type.
  DType wide() const { return wide_of(compute_); }
  Device device() const { return stream_.device(); }
  const Layout& layout() const { return *layout_; }
  /// The layout's bounds, rows and positions where the kernels of this pass read them.
  const RowIndex& index() const { return index_; }
  /// Does the pass have arrays that are placed?
  bool is_placed() const { return placed_ != nullptr; }
  /// A host's array where the kernels read it: itself on the CPU, else where it is placed or a copy that
  /// lives as long as the tape. `values` must live as long as the result is used.
  IndexView upload(std::span<const int32_t> values);
  bool recording() const { return recording_; }

  /// Must a result that depends on these (values, parameters, flags) be differentiated?
  template <class... Inputs>
  bool wants(const Inputs&... inputs) const {
    return recording_ && (... || wants_one(inputs));
  }
  /// Records the backward of an output whose gradient is wanted. It is skipped when no gradient arrived.
  void record(const Gradient& output, std::function<void()> backward) {
    entries_.push_back({output, std::move(backward)});
  }
  /// Runs the sweep, after the gradients of the last outputs were added.
  void backward();

  /// Recompute segment: runs f(input) without recording; its backward runs f again, recording, and goes on
  /// from there. The same bits as without, since ops are deterministic and dropout is counter-based. Nothing
  /// but the input is kept. `wanted`: is anything inside trainable?
  Var checkpoint(const Var& input, bool wanted, std::function<Var(const Var&)> f);

 private:
  static bool wants_one(const Var& v) { return v.requires_grad(); }
  static bool wants_one(const Parameter* p) { return p && p->trainable; }
  static bool wants_one(bool b) { return b; }

  struct Entry {
    Gradient output;
    std::function<void()> backward;
  };
  Stream stream_;
  DType compute_;
  LayoutPtr layout_;
  bool recording_;
  PlacedArrays* placed_;
  std::vector<Tensor> uploads_;
  RowIndex index_;
  std::vector<Entry> entries_;
};

}  // namespace ft
