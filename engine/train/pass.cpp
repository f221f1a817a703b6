#include "engine/train/pass.h"

#include "engine/ops/head.h"

namespace ft {
namespace {

// Rows end to end, and for each target the position that predicts it: the one before it.
struct Batch {
  std::shared_ptr<Layout> layout = std::make_shared<Layout>();
  std::shared_ptr<std::vector<int32_t>> ids = std::make_shared<std::vector<int32_t>>();
  std::shared_ptr<std::vector<int32_t>> predicting = std::make_shared<std::vector<int32_t>>();
  std::vector<int32_t> targets, target_row, target_position, target_bounds = {0};
};

Batch lay_out(std::span<const DataRow* const> rows, int32_t first_row) {
  Batch b;
  for (size_t r = 0; r < rows.size(); ++r) {
    const DataRow& row = *rows[r];
    const int32_t start = b.layout->bounds.back(), name = first_row + static_cast<int32_t>(r);
    b.layout->add_sample(static_cast<int64_t>(row.ids.size()), name);
    b.ids->insert(b.ids->end(), row.ids.begin(), row.ids.end());
    for (size_t i = 1; i < row.ids.size(); ++i) {
      if (row.labels[i] == kNoTarget) continue;
      const auto at = static_cast<int32_t>(i - 1);
      b.predicting->push_back(start + at);
      b.targets.push_back(row.labels[i]);
      b.target_row.push_back(name);
      b.target_position.push_back(at);
    }
    b.target_bounds.push_back(static_cast<int32_t>(b.targets.size()));
  }
  return b;
}

void run_pass(Model& model, Stream& stream, const Batch& b, const PassSettings& s, LossSum& sum) {
  Tape tape(stream, s.compute, b.layout, s.training);
  Forward forward{.tape = tape,
                  .training = s.training,
                  .dropout_key = s.dropout_key,
                  .recompute = s.recompute && s.training};
  const Var hidden = gather_rows(tape, model.hidden(forward, b.ids), b.predicting);
  const RowIndex rows{{b.target_bounds.data(), static_cast<int32_t>(b.target_bounds.size()) - 1},
                      b.target_row.data(),
                      b.target_position.data()};
  const HeadLoss head =
      head_loss(tape, hidden, model.head().weights(forward), rows, b.targets, s.gradient_scale);
  for (const double loss : head.row_loss) sum.loss += loss;
  sum.targets += static_cast<int64_t>(b.targets.size());
  sum.correct += head.correct;
  sum.tokens += b.layout->tokens();
  if (s.training) tape.backward();
}

}  // namespace

void run_rows(Model& model, Stream& stream, std::span<const DataRow* const> rows,
              const PassSettings& settings, LossSum& sum) {
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    while (end < rows.size() &&
           (end == begin || tokens + static_cast<int64_t>(rows[end]->ids.size()) <= settings.pass_tokens))
      tokens += static_cast<int64_t>(rows[end++]->ids.size());
    run_pass(model, stream, lay_out(rows.subspan(begin, end - begin), static_cast<int32_t>(begin)), settings,
             sum);
    begin = end;
  }
}

}  // namespace ft
