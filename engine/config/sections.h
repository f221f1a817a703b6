// The sections of exp.yaml as plain structs: what the rest of the engine sees of a configuration.
//
// Field names are the YAML keys, and initialisers are the defaults. Keys, ranges and meanings: describe.h.
// After loading, paths are absolute, and the values that follow from other keys (dtype, eval_strategy,
// greater_is_better, warm-up) are settled; std::optional remains where another part decides.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/convert.h"
#include "engine/config/node.h"
#include "engine/core/dtype.h"

namespace ft {

enum class TaskType { causal_lm, seq_2_seq_lm, seq_cls, token_cls, masked_lm, feature_extraction };
constexpr std::array<EnumName<TaskType>, 6> enum_names(TaskType) {
  return {{{TaskType::causal_lm, "CAUSAL_LM"},
           {TaskType::seq_2_seq_lm, "SEQ_2_SEQ_LM"},
           {TaskType::seq_cls, "SEQ_CLS"},
           {TaskType::token_cls, "TOKEN_CLS"},
           {TaskType::masked_lm, "MASKED_LM"},
           {TaskType::feature_extraction, "FEATURE_EXTRACTION"}}};
}

/// Types that frozen weights are stored in.
constexpr std::array<EnumName<DType>, 3> enum_names(DType) {
  return {{{DType::f32, "float32"}, {DType::bf16, "bfloat16"}, {DType::f16, "float16"}}};
}

struct ModelSection {
  std::filesystem::path path;
  DType dtype = DType::f32;
  TaskType task_type = TaskType::causal_lm;
  std::optional<int64_t> num_labels;
  bool dropout = false;

  bool is_gguf() const;
  bool operator==(const ModelSection&) const = default;
};

enum class DataFormat { alpaca, chat, prompt_completion, text, classification, tokenized };
constexpr std::array<EnumName<DataFormat>, 6> enum_names(DataFormat) {
  return {{{DataFormat::alpaca, "alpaca"},
           {DataFormat::chat, "chat"},
           {DataFormat::prompt_completion, "prompt_completion"},
           {DataFormat::text, "text"},
           {DataFormat::classification, "classification"},
           {DataFormat::tokenized, "tokenized"}}};
}

/// What of a row is learnt: every answer, the last one, everything.
enum class TrainOn { completion, last, all };
constexpr std::array<EnumName<TrainOn>, 3> enum_names(TrainOn) {
  return {{{TrainOn::completion, "completion"}, {TrainOn::last, "last"}, {TrainOn::all, "all"}}};
}

/// What happens to a sample longer than max_length.
enum class Truncation { keep_start, keep_end, drop, error };
constexpr std::array<EnumName<Truncation>, 4> enum_names(Truncation) {
  return {{{Truncation::keep_start, "keep_start"},
           {Truncation::keep_end, "keep_end"},
           {Truncation::drop, "drop"},
           {Truncation::error, "error"}}};
}

/// What happens to a row that cannot be used (not JSON, a field missing, no target).
enum class OnBadRow { error, skip };
constexpr std::array<EnumName<OnBadRow>, 2> enum_names(OnBadRow) {
  return {{{OnBadRow::error, "error"}, {OnBadRow::skip, "skip"}}};
}

struct DataSet {
  std::filesystem::path path;
  DataFormat format = DataFormat::alpaca;
  std::vector<std::pair<std::string, std::string>> columns = {};  // the format's name of a field: the file's
  double weight = 1;                                              // times that a row is seen in an epoch

  bool operator==(const DataSet&) const = default;
};

struct NamedDataSet {
  std::string name;  // empty: the only evaluation set; else metrics are called eval_<name>_loss
  DataSet set;

  bool operator==(const NamedDataSet&) const = default;
};

struct DataSection {
  std::vector<DataSet> train;  // at least one
  std::vector<NamedDataSet> eval;
  double eval_fraction = 0;  // of the training rows, held out; 0: none
  ConfigNode
      prompt_template;  // `template`: null (the default), a name, an inline mapping, or a list of these
  TrainOn train_on = TrainOn::completion;
  std::optional<int64_t> max_length;
  Truncation truncation = Truncation::keep_start;
  std::optional<int64_t> block_size;  // of format text
  bool shuffle = true;
  bool group_by_length = false;
  std::optional<std::filesystem::path> cache_dir;
  OnBadRow on_bad_row = OnBadRow::error;

  bool has_eval() const { return !eval.empty() || eval_fraction > 0; }
  bool operator==(const DataSection&) const = default;
};

enum class SchedulerType { linear, cosine, constant, constant_with_warmup, polynomial, inverse_sqrt };
constexpr std::array<EnumName<SchedulerType>, 6> enum_names(SchedulerType) {
  return {{{SchedulerType::linear, "linear"},
           {SchedulerType::cosine, "cosine"},
           {SchedulerType::constant, "constant"},
           {SchedulerType::constant_with_warmup, "constant_with_warmup"},
           {SchedulerType::polynomial, "polynomial"},
           {SchedulerType::inverse_sqrt, "inverse_sqrt"}}};
}

enum class OptimizerType { adamw, sgd };
constexpr std::array<EnumName<OptimizerType>, 2> enum_names(OptimizerType) {
  return {{{OptimizerType::adamw, "adamw"}, {OptimizerType::sgd, "sgd"}}};
}

enum class EvalStrategy { no, steps, epoch };
constexpr std::array<EnumName<EvalStrategy>, 3> enum_names(EvalStrategy) {
  return {{{EvalStrategy::no, "no"}, {EvalStrategy::steps, "steps"}, {EvalStrategy::epoch, "epoch"}}};
}

enum class SaveStrategy { no, steps, epoch, end };
constexpr std::array<EnumName<SaveStrategy>, 4> enum_names(SaveStrategy) {
  return {{{SaveStrategy::no, "no"},
           {SaveStrategy::steps, "steps"},
           {SaveStrategy::epoch, "epoch"},
           {SaveStrategy::end, "end"}}};
}

struct TrainingSection {
  std::filesystem::path output_dir;
  int64_t per_device_train_batch_size = 8;  // rows
  int64_t per_device_eval_batch_size = 8;   // rows
  int64_t gradient_accumulation_steps = 1;
  double num_train_epochs = 3;
  std::optional<int64_t> max_steps;  // optimizer steps; set: num_train_epochs does not count
  std::optional<double> learning_rate;
  std::optional<double> loraplus_lr_ratio;
  SchedulerType lr_scheduler_type = SchedulerType::cosine;
  double warmup_ratio = 0.03;
  std::optional<int64_t> warmup_steps;  // set: warmup_ratio is 0
  double weight_decay = 0;
  double max_grad_norm = 1;  // 0: no clipping
  OptimizerType optim = OptimizerType::adamw;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double momentum = 0;
  std::optional<int64_t> logging_steps;
  bool logging_first_step = false;
  EvalStrategy eval_strategy = EvalStrategy::epoch;
  std::optional<int64_t> eval_steps;
  SaveStrategy save_strategy = SaveStrategy::epoch;
  std::optional<int64_t> save_steps;
  std::optional<int64_t> save_total_limit;
  std::string metric_for_best_model = "eval_loss";
  std::optional<bool> greater_is_better;
  bool load_best_model_at_end = false;
  std::optional<int64_t> early_stopping_patience;  // evaluations
  double early_stopping_threshold = 0;
  bool gradient_checkpointing = false;
  bool bf16 = false;
  bool fp16 = false;
  bool tf32 = false;
  int64_t seed = 42;

  /// Warm-up steps of a run of `total_steps` optimizer steps, as Transformers counts them:
  /// warmup_steps, or warmup_ratio of the total, rounded up.
  int64_t warmup(int64_t total_steps) const;
  /// Steps between two log rows: logging_steps, or every step up to 100 steps and every tenth beyond.
  int64_t logging_interval(int64_t total_steps) const;

  bool operator==(const TrainingSection&) const = default;
};

/// Unset fields fall back to the model folder's generation_config.json, then to Hugging Face's defaults.
struct GenerationSection {
  std::vector<std::string> prompts;
  std::optional<std::string> system;
  std::optional<int64_t> max_new_tokens;
  std::optional<int64_t> max_length;  // prompt and new tokens together
  std::optional<bool> do_sample;
  std::optional<double> temperature;
  std::optional<int64_t> top_k;  // 0: off
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<int64_t> num_beams;
  std::optional<double> length_penalty;
  std::optional<bool> early_stopping;
  std::vector<std::string> stop;
  bool ignore_eos = false;
  std::optional<int64_t> seed;

  bool operator==(const GenerationSection&) const = default;
};

}  // namespace ft
