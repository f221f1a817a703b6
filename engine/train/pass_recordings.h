// Training passes whose shape repeats (rows of one length, the blocks of a corpus), recorded on a device and
// queued again as a whole: one call instead of some hundred launches, which is what small passes wait for.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/core/stream_recording.h"
#include "engine/ops/head.h"
#include "engine/train/batch.h"

namespace ft {

class PassRecordings {
 public:
  /// Do all passes of a step read the same tensors with the same arguments? Not where dropout draws by the
  /// step, nor where an adapter makes tensors once a step.
  static bool possible(const Model& model, std::span<Adapter* const> adapters);

  /// What a pass does on its tape, backward included, and the losses that it leaves.
  using Pass = std::function<HeadLoss(Tape&, const Batch&)>;
  static constexpr size_t kMostTokens = 1024;
  /// Queues `pass` over the batch: one by one for the first two times of a shape, then as a recording.
  /// `gradient_scale` and `recompute` are arguments of kernels too, and belong to the shape. Passes of more
  /// than kMostTokens always go one by one: their launches hide behind their kernels, and a recording would
  /// keep their memory.
  HeadLoss run(Stream& stream, DType compute, const Batch& b, double gradient_scale, bool recompute,
               const Pass& pass);

 private:
  struct Shape;
  Shape& find(Stream& stream, const Batch& b, double gradient_scale, bool recompute);

  std::vector<std::shared_ptr<Shape>> shapes_;  // the last ones used first
};

}  // namespace ft
