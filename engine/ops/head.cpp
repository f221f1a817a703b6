#include "engine/ops/head.h"

#include <algorithm>

#include "engine/ops/cross_entropy.h"
#include "engine/ops/rows.h"

namespace ft {
namespace {

// Pieces of samples that fill a chunk. A sample is cut at multiples of head_chunk() from its own start, so
// that the pieces, and with them the order in which a trained head's gradient is summed, do not depend on the
// neighbours.
struct Chunk {
  int32_t begin = 0;
  std::vector<int32_t> bounds = {0};  // relative to begin
  int32_t end() const { return begin + bounds.back(); }
};

std::vector<Chunk> cut(const Segments& samples, int64_t most) {
  std::vector<Chunk> chunks;
  for (int32_t s = 0; s < samples.count; ++s) {
    for (int32_t at = samples.bounds[s]; at < samples.bounds[s + 1];) {
      const int32_t length = static_cast<int32_t>(std::min<int64_t>(most, samples.bounds[s + 1] - at));
      if (chunks.empty() || chunks.back().bounds.back() + length > most) chunks.push_back({at, {0}});
      chunks.back().bounds.push_back(chunks.back().bounds.back() + length);
      at += length;
    }
  }
  return chunks;
}

}  // namespace

Var gather_rows(Tape& tape, const Var& x, std::shared_ptr<const std::vector<int32_t>> rows) {
  const Tensor& in = x.value();
  const auto count = static_cast<int64_t>(rows->size());
  const int64_t cols = in.dim(1);
  const Var y(Tensor::empty({count, cols}, in.dtype(), MemoryClass::activations, in.device()), tape.wants(x));
  const IndexView index = tape.upload(*rows);
  launch(tape.stream(), in.dtype(), [&]<class T>(auto& s) {
    copy_rows(s, CopyRowsArgs<T>{.count = count,
                                 .cols = cols,
                                 .x = in.data<T>(),
                                 .ldx = cols,
                                 .y = y.value().data<T>(),
                                 .ldy = cols,
                                 .from = index,
                                 .to = {}});
  });
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, rows, index, count, cols, dx = x.gradient(), dy = y.gradient()] {
      const Gradient::Slot slot = dx.slot();
      FT_CHECK(!slot.accumulate,
               "[gather_rows] expected to be the only reader of its input, got a second one");
      Tensor out = slot.grad;
      out.zero();
      launch(tape.stream(), out.dtype(), [&]<class T>(auto& s) {
        copy_rows(s, CopyRowsArgs<T>{.count = count,
                                     .cols = cols,
                                     .x = dy.sum().data<T>(),
                                     .ldx = cols,
                                     .y = out.data<T>(),
                                     .ldy = cols,
                                     .from = {},
                                     .to = index});
      });
    });
  return y;
}

HeadLoss head_loss(Tape& tape, const Var& hidden, const LinearWeights& head, const RowIndex& rows,
                   std::span<const int32_t> targets, double scale) {
  const Tensor& h = hidden.value();
  FT_CHECK(h.dim(0) == static_cast<int64_t>(targets.size()),
           "[head] expected a row for each of {} targets, got {}", targets.size(), h.dim(0));
  const bool wanted = tape.wants(hidden, head.trainable());
  const Tensor dh = wanted && hidden.requires_grad()
                        ? Tensor::empty(h.shape(), h.dtype(), MemoryClass::activations, h.device())
                        : Tensor();
  const auto count = static_cast<int64_t>(targets.size());
  const Tensor loss = Tensor::empty({count}, DType::f64, MemoryClass::workspace, h.device()),
               argmax = Tensor::empty({count}, DType::i32, MemoryClass::workspace, h.device());
  const IndexView wanted_ids = tape.upload(targets);
  const std::vector<Chunk> chunks = cut(rows.segments, head_chunk(h.device()));
  for (const Chunk& chunk : chunks) {
    const RowIndex index{{tape.upload(chunk.bounds), static_cast<int32_t>(chunk.bounds.size()) - 1},
                         rows.row.from(chunk.begin),
                         rows.position.from(chunk.begin)};
    const Tensor x = h.rows(chunk.begin, chunk.end());
    std::vector<Tensor> u;
    const Tensor logits = linear_forward(tape, x, head, index, &u);
    launch(tape.stream(), h.dtype(), [&]<class T>(auto& s) {
      cross_entropy(s, CrossEntropyArgs<T>{.rows = x.dim(0),
                                           .classes = logits.dim(1),
                                           .logits = logits.data<T>(),
                                           .ld = logits.dim(1),
                                           .targets = wanted_ids.from(chunk.begin),
                                           .scale = static_cast<Wide<T>>(scale),
                                           .gradient = wanted,
                                           .loss = loss.data<double>() + chunk.begin,
                                           .argmax = argmax.data<int32_t>() + chunk.begin});
    });
    if (!wanted) continue;
    const Gradient::Slot slot{dh.defined() ? dh.rows(chunk.begin, chunk.end()) : Tensor(), false};
    linear_backward(tape, head, index, x, u, logits, dh.defined() ? &slot : nullptr);
  }
  if (dh.defined()) hidden.gradient().add(tape.stream(), dh);
  return {loss, argmax};
}

Tensor head_logits(Tape& tape, const Tensor& hidden, const LinearWeights& head, const RowIndex& rows) {
  return linear_forward(tape, hidden, head, rows, nullptr);
}

}  // namespace ft
