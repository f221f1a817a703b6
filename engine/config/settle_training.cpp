// What the keys of `training` say together: contradictions are errors, and open values follow from the
// others.
#include <cmath>

#include "engine/config/fields.h"
#include "engine/config/read_sections.h"

namespace ft {
namespace {

void settle_length(Fields& fields, TrainingSection& t) {
  if (t.max_steps == -1) t.max_steps.reset();  // Hugging Face's spelling of "not set"
  if (t.max_steps == 0)
    fields.fail("max_steps", "no steps to train; give at least 1, or remove it for num_train_epochs");
  if (!t.warmup_steps) return;
  if (fields.has("warmup_ratio") && t.warmup_ratio > 0) {
    fields.fail("warmup_steps", "given beside warmup_ratio; keep one of them");
  }
  t.warmup_ratio = 0;
}

void settle_evaluation(Fields& fields, TrainingSection& t, const DataSection& data) {
  if (!data.has_eval()) {
    if (fields.has("eval_strategy") && t.eval_strategy != EvalStrategy::no) {
      fields.fail("eval_strategy",
                  fmt::format("{}, but there is no evaluation set; add data.eval or data.eval_fraction, "
                              "or write eval_strategy: no",
                              name_of(t.eval_strategy)));
    }
    t.eval_strategy = EvalStrategy::no;
  }
  if (t.eval_strategy == EvalStrategy::steps && !t.eval_steps) {
    fields.fail("eval_strategy", "steps needs eval_steps; add eval_steps: 100");
  }
  if (t.eval_strategy == EvalStrategy::epoch && t.eval_steps) {
    fields.fail("eval_steps",
                "has no effect with eval_strategy: epoch; write eval_strategy: steps, or remove eval_steps");
  }
}

void settle_saving(Fields& fields, TrainingSection& t) {
  if (t.save_strategy == SaveStrategy::steps && !t.save_steps) {
    fields.fail("save_strategy", "steps needs save_steps; add save_steps: 100");
  }
  if (t.save_strategy != SaveStrategy::steps && t.save_strategy != SaveStrategy::no && t.save_steps) {
    fields.fail("save_steps",
                fmt::format("has no effect with save_strategy: {}; write save_strategy: steps, or remove "
                            "save_steps",
                            name_of(t.save_strategy)));
  }
}

void settle_best_model(Fields& fields, TrainingSection& t) {
  std::string& metric = t.metric_for_best_model;
  if (metric.empty()) fields.fail("metric_for_best_model", "expected a metric's name such as eval_loss");
  if (!metric.starts_with("eval_")) metric = "eval_" + metric;  // as Hugging Face reads it
  if (!t.greater_is_better) t.greater_is_better = !metric.ends_with("loss");
  const bool evaluates = t.eval_strategy != EvalStrategy::no;
  if (t.early_stopping_patience && !evaluates) {
    fields.fail("early_stopping_patience",
                "needs evaluation; add data.eval and an eval_strategy, or remove it");
  }
  if (!t.load_best_model_at_end) return;
  if (!evaluates)
    fields.fail("load_best_model_at_end", "needs evaluation; add data.eval and an eval_strategy");
  if (name_of(t.eval_strategy) != name_of(t.save_strategy)) {
    fields.fail("load_best_model_at_end", fmt::format("needs a checkpoint wherever there is an evaluation, "
                                                      "but eval_strategy is {} and save_strategy {}; "
                                                      "make them the same",
                                                      name_of(t.eval_strategy), name_of(t.save_strategy)));
  }
  if (t.eval_strategy == EvalStrategy::steps && *t.save_steps % *t.eval_steps != 0) {
    fields.fail("load_best_model_at_end",
                fmt::format("needs save_steps to be a multiple of eval_steps, got {} and {}", *t.save_steps,
                            *t.eval_steps));
  }
}

}  // namespace

void settle_training(Fields& fields, TrainingSection& training, const DataSection& data) {
  settle_length(fields, training);
  settle_evaluation(fields, training, data);
  settle_saving(fields, training);
  settle_best_model(fields, training);
  if (training.bf16 && training.fp16) fields.fail("fp16", "given beside bf16; keep one of them");
  if (training.momentum > 0 && training.optim != OptimizerType::sgd) {
    fields.fail("momentum", "belongs to optim: sgd; adamw has adam_beta1");
  }
}

int64_t TrainingSection::warmup(int64_t total_steps) const {
  if (warmup_steps) return *warmup_steps;
  return static_cast<int64_t>(std::ceil(static_cast<double>(total_steps) * warmup_ratio));
}

int64_t TrainingSection::logging_interval(int64_t total_steps) const {
  if (logging_steps) return *logging_steps;
  return total_steps <= 100 ? 1 : 10;
}

}  // namespace ft
