// Helpers of the configuration tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/experiment.h"
#include "engine/config/yaml.h"

namespace ft {

inline SourcePtr test_source() {
  return std::make_shared<Source>(Source{"exp.yaml", "/base"});
}

inline ConfigNode yaml(std::string_view text) {
  return parse_yaml(text, test_source());
}

/// The message of the InputError that `action` throws; "(none)" if it throws none.
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "(none)";
}

/// exp.yaml of interface.md, with every key that it shows.
constexpr std::string_view kFullExample = R"(model:
  path: models/qwen3-0.6b      # a comment
  dtype: bfloat16
  task_type: CAUSAL_LM
  num_labels: 2
adapter:
  peft_type: LORA
  r: 8
  lora_alpha: 16
  target_modules: [q_proj, v_proj]
  lora_dropout: 0.05
  bias: none
data:
  train: {path: data/train.jsonl, format: alpaca}
  eval:  {path: data/eval.jsonl, format: alpaca}
  template: human_assistant
  train_on: completion
  max_length: 512
  shuffle: true
training:
  output_dir: runs/qwen3-lora
  per_device_train_batch_size: 1
  gradient_accumulation_steps: 8
  num_train_epochs: 1
  learning_rate: 1.0e-4
  lr_scheduler_type: cosine
  warmup_ratio: 0.03
  weight_decay: 0.0
  max_grad_norm: 1.0
  optim: adamw
  adam_beta1: 0.9
  logging_steps: 10
  eval_strategy: epoch
  save_strategy: epoch
  metric_for_best_model: eval_loss
  load_best_model_at_end: false
  early_stopping_patience: 3
  gradient_checkpointing: false
  bf16: false
  seed: 42
generation:
  prompts: ["How do I return a lamp?"]
  max_new_tokens: 64
device: auto
)";

/// The least that an exp.yaml needs; `extra` follows, indented as it wants.
inline std::string minimal(std::string_view training = "", std::string_view data = "",
                           std::string_view top = "") {
  return fmt::format(
      "model: {{path: m}}\nadapter: {{peft_type: LORA}}\ndata:\n  train: {{path: t.jsonl, format: text}}\n{}"
      "training:\n  output_dir: out\n{}{}",
      data, training, top);
}

inline Experiment experiment(std::string_view text) {
  return parse_experiment(yaml(text), {.check_files = false});
}

inline std::string experiment_error(std::string_view text) {
  return error_of([&] { experiment(text); });
}

}  // namespace ft
