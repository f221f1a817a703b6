// What people whose run does not learn find out in the end: said before it.
#include <algorithm>
#include <unordered_set>

#include "adapters/registry.h"
#include "engine/core/rng.h"
#include "engine/train/plan.h"
#include "tools/ftengine/check_report.h"

namespace ft {
namespace {

constexpr double kRange = 20;  // of a method's default learning rate, either way

uint64_t hash_row(const DataRow& row) {
  uint64_t h = row.ids.size();
  for (const int32_t id : row.ids) h = mix_key(h, static_cast<uint32_t>(id));
  return h;
}

int64_t rows_in_both(const Dataset& train, const Dataset& eval) {
  std::unordered_set<uint64_t> known;
  for (const DataRow& row : train.rows) known.insert(hash_row(row));
  return std::count_if(eval.rows.begin(), eval.rows.end(),
                       [&](const DataRow& row) { return known.contains(hash_row(row)); });
}

using Hints = std::vector<std::string>;

void about_rate(const RunSubject& r, double rate, Hints& hints) {
  for (const ConfigNode& node : r.experiment.adapters) {
    const ConfigNode* type = node.find("peft_type");
    if (!type || !type->is_string()) continue;  // a saved adapter
    const double usual = default_learning_rate(node), low = usual / kRange, high = usual * kRange;
    if (rate < low || rate > high)
      hints.push_back(
          fmt::format("training.learning_rate {:g} is {} what {} usually takes ({:g} to {:g}, default {:g})",
                      rate, rate < low ? "below" : "above", type->string(), low, high, usual));
  }
}

void about_steps(const RunSubject& r, Hints& hints) {
  const TrainingSection& t = r.experiment.training;
  const StepPlan plan(r.train.rows, t, false);
  const int64_t steps = plan.total_steps(), warmup = t.warmup(steps);
  if (steps < 20)
    hints.push_back(fmt::format("only {} optimizer steps: more epochs, or a smaller batch", steps));
  if (warmup >= steps && steps > 1)
    hints.push_back(
        fmt::format("{} warm-up steps of {}: the learning rate never reaches its peak", warmup, steps));
  const int64_t batch = t.per_device_train_batch_size * t.gradient_accumulation_steps;
  if (batch > r.train.report.rows)
    hints.push_back(
        fmt::format("an optimizer step takes {} rows, but there are {}", batch, r.train.report.rows));
}

void about_masks(const RunSubject& r, Hints& hints) {
  const DataReport& d = r.train.report;
  if (d.cut * 20 > d.rows)
    hints.push_back(fmt::format("{} of {} rows are cut to data.max_length: raise it{}", d.cut, d.rows,
                                r.experiment.data.truncation == Truncation::keep_start
                                    ? ", or keep answers whole with truncation: keep_end"
                                    : ""));
  if (d.without_target > 0)
    hints.push_back(
        fmt::format("{} rows teach nothing: what is learnt of them was cut off", d.without_target));
  if (d.targets * 100 < d.tokens)
    hints.push_back(
        "less than 1 % of the tokens are learnt: check that the answers are where the format expects");
  const bool rendered = std::any_of(
      r.experiment.data.train.begin(), r.experiment.data.train.end(),
      [](const auto& s) { return s.format != DataFormat::text && s.format != DataFormat::tokenized; });
  if (rendered && r.experiment.data.train_on == TrainOn::all)
    hints.push_back("train_on: all learns the prompts too; train_on: completion is what answering needs");
}

void about_template(const RunSubject& r, Hints& hints) {
  if (!r.prompt_template) return;
  const Template& t = *r.prompt_template;
  const bool own = !t.tokenizer().chat_template().empty();
  const bool chat = t.name() == "tokenizer" || t.is_mixture();
  if (own && !chat && r.train.corpus == false)
    hints.push_back(
        fmt::format("the tokenizer has a chat_template of its own: template: tokenizer is what the model was "
                    "tuned with, not {}",
                    t.name()));
  if (t.layout().dated())
    hints.push_back(
        "the template writes today's date; here it is always 26 Jul 2024, so that rows stay the same");
}

}  // namespace

std::vector<std::string> learning_hints(const RunSubject& r, double learning_rate) {
  Hints hints;
  about_rate(r, learning_rate, hints);
  about_steps(r, hints);
  about_masks(r, hints);
  about_template(r, hints);
  for (const auto& [name, set] : r.evals)
    if (const int64_t both = rows_in_both(r.train, set); both > 0)
      hints.push_back(fmt::format("{} of {} evaluation rows{} are in the training data too", both,
                                  set.rows.size(), name.empty() ? "" : " of " + name));
  if (!r.experiment.data.shuffle) hints.push_back("data.shuffle is off: rows come in the order of the file");
  return hints;
}

}  // namespace ft
