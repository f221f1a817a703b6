#include "engine/ops/head.h"

#include <algorithm>
#include <cstring>

#include "engine/ops/cross_entropy.h"

namespace ft {
namespace {

// Pieces of samples that fill a chunk. A sample is cut at multiples of kHeadChunk from its own start, so that
// the pieces, and with them the order in which a trained head's gradient is summed, do not depend on the
// neighbours.
struct Chunk {
  int32_t begin = 0;
  std::vector<int32_t> bounds = {0};  // relative to begin
  int32_t end() const { return begin + bounds.back(); }
};

std::vector<Chunk> cut(const Segments& samples) {
  std::vector<Chunk> chunks;
  for (int32_t s = 0; s < samples.count; ++s) {
    for (int32_t at = samples.bounds[s]; at < samples.bounds[s + 1];) {
      const int32_t length = std::min<int32_t>(kHeadChunk, samples.bounds[s + 1] - at);
      if (chunks.empty() || chunks.back().bounds.back() + length > kHeadChunk) chunks.push_back({at, {0}});
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
  const size_t row_bytes = static_cast<size_t>(in.dim(1)) * size_of(in.dtype());
  const Var y(Tensor::empty({count, in.dim(1)}, in.dtype(), MemoryClass::activations, in.device()),
              tape.wants(x));
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(static_cast<std::byte*>(y.value().raw()) + i * row_bytes,
                static_cast<const std::byte*>(in.raw()) + (*rows)[i] * row_bytes, row_bytes);
  if (y.requires_grad())
    tape.record(y.gradient(), [&tape, rows, row_bytes, dx = x.gradient(), dy = y.gradient()] {
      const Gradient::Slot slot = dx.slot();
      FT_CHECK(!slot.accumulate,
               "[gather_rows] expected to be the only reader of its input, got a second one");
      Tensor out = slot.grad;
      out.zero();
      for (size_t i = 0; i < rows->size(); ++i)
        std::memcpy(static_cast<std::byte*>(out.raw()) + (*rows)[i] * row_bytes,
                    static_cast<const std::byte*>(dy.sum().raw()) + i * row_bytes, row_bytes);
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
  HeadLoss result;
  result.row_loss.resize(targets.size());
  std::vector<int32_t> argmax(targets.size());
  for (const Chunk& chunk : cut(rows.segments)) {
    const RowIndex index{{chunk.bounds.data(), static_cast<int32_t>(chunk.bounds.size()) - 1},
                         rows.row ? rows.row + chunk.begin : nullptr,
                         rows.position ? rows.position + chunk.begin : nullptr};
    const Tensor x = h.rows(chunk.begin, chunk.end());
    std::vector<Tensor> u;
    const Tensor logits = linear_forward(tape, x, head, index, &u);
    launch(tape.stream(), h.dtype(), [&]<class T>(auto& s) {
      cross_entropy(s, CrossEntropyArgs<T>{.rows = x.dim(0),
                                           .classes = logits.dim(1),
                                           .logits = logits.data<T>(),
                                           .ld = logits.dim(1),
                                           .targets = targets.data() + chunk.begin,
                                           .scale = static_cast<T>(scale),
                                           .gradient = wanted,
                                           .loss = result.row_loss.data() + chunk.begin,
                                           .argmax = argmax.data() + chunk.begin});
    });
    if (!wanted) continue;
    const Gradient::Slot slot{dh.defined() ? dh.rows(chunk.begin, chunk.end()) : Tensor(), false};
    linear_backward(tape, head, index, x, u, logits, dh.defined() ? &slot : nullptr);
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    result.loss += result.row_loss[i];
    result.correct += argmax[i] == targets[i];
  }
  if (dh.defined()) hidden.gradient().add(tape.stream(), dh);
  return result;
}

Tensor head_logits(Tape& tape, const Tensor& hidden, const LinearWeights& head, const RowIndex& rows) {
  return linear_forward(tape, hidden, head, rows, nullptr);
}

}  // namespace ft
