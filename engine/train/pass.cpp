#include "engine/train/pass.h"

#include <algorithm>

namespace ft {
namespace {

// Rows end to end, and for each target the position that predicts it: the one before it.
struct Batch {
  std::shared_ptr<Layout> layout = std::make_shared<Layout>();
  std::shared_ptr<std::vector<int32_t>> ids = std::make_shared<std::vector<int32_t>>();
  std::shared_ptr<std::vector<int32_t>> predicting = std::make_shared<std::vector<int32_t>>();
  std::vector<int32_t> targets, target_row, target_position, target_bounds = {0};
};

Batch lay_out(std::span<const DataRow* const> rows, int32_t first_row, const AdapterStep* adapters) {
  const VirtualTokens* before = adapters ? adapters->before() : nullptr;
  const int32_t leading = adapters ? adapters->leading_rows() : 0,
                first_position = before ? static_cast<int32_t>(before->rows()) : 0;
  Batch b;
  for (size_t r = 0; r < rows.size(); ++r) {
    const DataRow& row = *rows[r];
    const int32_t start = b.layout->bounds.back(), name = first_row + static_cast<int32_t>(r);
    b.layout->add_sample(static_cast<int64_t>(row.ids.size()), name, first_position, leading);
    b.ids->insert(b.ids->end(), row.ids.begin(), row.ids.end());
    for (size_t i = leading > 0 ? 0 : 1; i < row.ids.size(); ++i) {
      if (row.labels[i] == kNoTarget) continue;
      const int32_t at = leading + static_cast<int32_t>(i) - 1;
      b.predicting->push_back(start + at);
      b.targets.push_back(row.labels[i]);
      b.target_row.push_back(name);
      b.target_position.push_back(first_position + at);
    }
    b.target_bounds.push_back(static_cast<int32_t>(b.targets.size()));
  }
  return b;
}

void run_pass(Model& model, Stream& stream, const Batch& b, const PassSettings& s, QueuedLosses& losses) {
  Tape tape(stream, s.compute, b.layout, s.training);
  Forward forward{.tape = tape,
                  .training = s.training,
                  .dropout_key = s.dropout_key,
                  .recompute = s.recompute && s.training};
  if (s.adapters) {
    forward.before = s.adapters->before();
    forward.prompt = s.adapters->leading();
  }
  const Var hidden = gather_rows(tape, model.hidden(forward, b.ids), b.predicting);
  const RowIndex rows{{b.target_bounds.data(), static_cast<int32_t>(b.target_bounds.size()) - 1},
                      b.target_row.data(),
                      b.target_position.data()};
  const HeadLoss head =
      head_loss(tape, hidden, model.head().weights(forward), rows, b.targets, s.gradient_scale);
  losses.add(head, b.targets, static_cast<int64_t>(b.ids->size()));
  if (s.training) tape.backward();
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
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    while (end < rows.size() && (end == begin || tokens + size(end) <= settings.pass_tokens))
      tokens += size(end++);
    run_pass(model, stream,
             lay_out(rows.subspan(begin, end - begin), static_cast<int32_t>(begin), settings.adapters),
             settings, losses);
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
