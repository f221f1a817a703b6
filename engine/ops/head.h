// Head and cross entropy in one chunked op (with logits for generation beside it): only rows that have a
// target come here, at most head_chunk() of them at a time, so no [tokens, vocabulary] buffer exists
// anywhere. The loss's gradient with respect to the hidden states, and to the head where it is trained, is
// formed in the same pass over the chunk: nothing of it is saved or recomputed.
#pragma once

#include <span>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/ops/linear.h"

namespace ft {

/// Rows whose logits exist at once. A GPU reads the head's weights once for each chunk: it wants larger ones.
constexpr int64_t head_chunk(Device device) {
  return device.kind == DeviceKind::cpu ? 128 : 512;
}

/// The rows of `x` [tokens, C] named by `rows`, in that order.
Var gather_rows(Tape&, const Var& x, std::shared_ptr<const std::vector<int32_t>> rows);

/// In the stream's memory, one element a target: it is formed once the stream comes to it.
struct HeadLoss {
  Tensor loss;  // float64 [R]: −log p(target)
  Tensor best;  // int32 [R]: the argmax
};

/// hidden [R, C]: one row for each target; `rows` bounds them by sample and names them; targets [R]. `scale`
/// multiplies the gradient (1 / number of targets in the optimizer step).
HeadLoss head_loss(Tape&, const Var& hidden, const LinearWeights& head, const RowIndex& rows,
                   std::span<const int32_t> targets, double scale);

/// Plain logits [R, V] of a few rows.
Tensor head_logits(Tape&, const Tensor& hidden, const LinearWeights& head, const RowIndex& rows);

}  // namespace ft
