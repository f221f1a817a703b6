#include "engine/train/pass.h"

#include <algorithm>

namespace ft {
namespace {

/// Forward and, in training, backward of one pass.
HeadLoss run_pass(Model& model, Tape& tape, const Batch& b, const PassSettings& s) {
  Forward forward{.tape = tape,
                  .training = s.training,
                  .dropout_key = s.dropout_key,
                  .recompute = s.recompute && s.training};
  if (s.adapters) {
    forward.before = s.adapters->before();
    forward.prompt = s.adapters->leading();
  }
  const Var hidden = gather_rows(tape, model.hidden(forward, b.ids), b.predicting);
  const RowIndex rows{
      {tape.upload(b.target_bounds), b.samples()}, tape.upload(b.target_row), tape.upload(b.target_position)};
  HeadLoss head = head_loss(tape, hidden, model.head().weights(forward), rows, b.targets, s.gradient_scale);
  if (s.training) tape.backward();
  return head;
}

HeadLoss queue_pass(Model& model, Stream& stream, const Batch& b, const PassSettings& s) {
  if (s.recordings && s.training && b.ids->size() <= PassRecordings::kMostTokens)
    return s.recordings->run(stream, s.compute, b, s.gradient_scale, s.recompute,
                             [&](Tape& tape, const Batch& batch) { return run_pass(model, tape, batch, s); });
  Tape tape(stream, s.compute, b.layout, s.training);
  return run_pass(model, tape, b, s);
}

}  // namespace

bool any_first_target(std::span<const DataRow* const> rows) {
  return std::any_of(rows.begin(), rows.end(), [](const DataRow* r) { return r->labels[0] != kNoTarget; });
}

void QueuedLosses::add(HeadLoss losses, std::vector<int32_t> targets, int64_t tokens) {
  const size_t count = targets.size();
  passes_.push_back({std::move(losses), std::move(targets), std::vector<int32_t>(count),
                     std::vector<double>(count), tokens});
}

std::vector<HostCopy> QueuedLosses::copies() {
  std::vector<HostCopy> all;
  for (Pass& p : passes_) {
    all.push_back({p.loss.data(), p.losses.loss.raw(), p.losses.loss.bytes()});
    all.push_back({p.best.data(), p.losses.best.raw(), p.losses.best.bytes()});
  }
  return all;
}

void QueuedLosses::count(LossSum& sum) const {
  for (const Pass& p : passes_) {
    for (size_t i = 0; i < p.targets.size(); ++i) {
      sum.loss += p.loss[i];
      sum.correct += p.best[i] == p.targets[i];
    }
    sum.targets += static_cast<int64_t>(p.targets.size());
    sum.tokens += p.tokens;
  }
}

void queue_rows(Model& model, Stream& stream, std::span<const DataRow* const> rows,
                const PassSettings& settings, QueuedLosses& losses) {
  const int64_t leading = settings.adapters ? settings.adapters->leading_rows() : 0;
  const auto size = [&](size_t i) { return static_cast<int64_t>(rows[i]->ids.size()) + leading; };
  const bool gpu = stream.device().kind == DeviceKind::cuda;
  const auto fit = [&](size_t count, int64_t tokens) {
    return count == 1 || tokens <= settings.pass_tokens ||
           (gpu && static_cast<int64_t>(count) <= settings.micro_batch && tokens <= kMicroBatchTokens);
  };
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    while (end < rows.size() && fit(end - begin + 1, tokens + size(end))) tokens += size(end++);
    const Batch b = lay_out(rows.subspan(begin, end - begin), static_cast<int32_t>(begin), settings.adapters);
    losses.add(queue_pass(model, stream, b, settings), b.targets, static_cast<int64_t>(b.ids->size()));
    begin = end;
  }
}

void run_rows(Model& model, Stream& stream, std::span<const DataRow* const> rows,
              const PassSettings& settings, LossSum& sum) {
  QueuedLosses losses;
  queue_rows(model, stream, rows, settings, losses);
  read_back(stream.device(), losses.copies());
  losses.count(sum);
}

}  // namespace ft
