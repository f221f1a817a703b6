// A fixture's base with prompts, prefixes and other adapters made on the spot.
#pragma once

#include <gtest/gtest.h>

#include "adapters/stack.h"
#include "engine/config/yaml.h"
#include "engine/generate/generator.h"
#include "tests/parity/fixture.h"

namespace ft::test {

inline const std::vector<int32_t> kWords = {17, 4, 60, 4, 33};

inline GenerationOptions greedy(int64_t max_new_tokens) {
  GenerationOptions o;
  o.max_new_tokens = max_new_tokens;
  o.ignore_eos = true;
  return o;
}

/// A fixture's base with adapters of our own in place of its.
class Base {
 public:
  explicit Base(const std::string& name, DType compute = DType::f32) : f(name, compute) {
    f.adapter->set_active(false);
  }

  Adapter& add(const std::string& yaml, uint64_t seed = 7) {
    const ConfigNode node = parse_yaml("{" + yaml + "}", std::make_shared<const Source>());
    auto adapter = find_adapter_kind(node).make(node, "adapter", false);
    adapter->attach(f.model(), {.compute = wide_of(f.compute),
                                .seed = seed,
                                .index = static_cast<int>(stack.size()) + 1,
                                .where = "test",
                                .tokenize = [](const std::string&) { return kWords; },
                                .stream = &f.stream});
    stack.add(std::move(adapter));
    return *stack.all().back();
  }

  /// Mean loss; with `gradients`, those too.
  LossSum loss(const std::vector<DataRow>& data, bool gradients = false, bool recompute = false,
               int64_t pass_tokens = kPassTokens) {
    std::vector<const DataRow*> rows;
    for (const DataRow& r : data) rows.push_back(&r);
    const bool share = shares_prompt(f.model(), stack.all(), gradients, any_first_target(rows));
    AdapterStep step(f.model(), stack.all(), f.stream, f.compute,
                     {.training = gradients, .dropout_key = kDropoutKey}, share);
    shared = share;
    LossSum sum;
    run_rows(f.model(), f.stream, rows,
             {.compute = f.compute,
              .training = gradients,
              .recompute = recompute,
              .dropout_key = kDropoutKey,
              .adapters = &step,
              .pass_tokens = pass_tokens},
             sum);
    if (gradients) step.finish();
    return sum;
  }

  static constexpr uint64_t kDropoutKey = 12345;
  Fixture f;
  AdapterStack stack;
  bool shared = false;
};

/// Rows behind the words, whose labels are no targets; and the rows alone. `first`: their first token is a
/// target.
inline std::pair<std::vector<DataRow>, std::vector<DataRow>> hard_and_soft(bool first) {
  std::vector<DataRow> hard, soft;
  for (const std::vector<int32_t>& ids :
       {std::vector<int32_t>{5, 9, 71, 2, 40, 8}, {3, 3, 55}, {81, 12, 7, 1}}) {
    DataRow row;
    row.ids = ids;
    row.labels = ids;
    if (!first) row.labels[0] = kNoTarget;
    soft.push_back(row);
    row.ids.insert(row.ids.begin(), kWords.begin(), kWords.end());
    row.labels.insert(row.labels.begin(), kWords.size(), kNoTarget);
    hard.push_back(row);
  }
  return {hard, soft};
}

inline const std::string
    kLora = "peft_type: LORA, r: 2, target_modules: all-linear",
    kPrompt = "peft_type: PROMPT_TUNING, num_virtual_tokens: 3, prompt_tuning_init: RANDOM",
    kLstmPrompt =
        "peft_type: P_TUNING, num_virtual_tokens: 3, encoder_reparameterization_type: LSTM, "
        "encoder_hidden_size: 5",
    kPrefix = "peft_type: PREFIX_TUNING, num_virtual_tokens: 4, prefix_tuning_init: RANDOM",
    kLstmPrefix =
        "peft_type: PREFIX_TUNING, num_virtual_tokens: 4, prefix_projection: true, "
        "encoder_reparameterization_type: LSTM, encoder_hidden_size: 6, encoder_num_layers: 1",
    kTopPrefix = kPrefix + ", layers_to_transform: [1]", kIa3 = "peft_type: IA3, init_ia3_weights: false";
using Names = std::vector<std::string>;

}  // namespace ft::test
