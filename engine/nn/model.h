// A model as training, generation and adapters see it: hidden states, sites, and facts about itself.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/nn/sites.h"

namespace ft {

struct ModelFacts {
  std::string model_type;  // Hugging Face's: "llama", "gpt2", …
  int64_t vocab = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t max_positions = 0;              // what it was trained on
  int64_t position_limit = 0;             // what it can do at all (learned positions); 0: no limit
  bool tied = false;                      // head and embedding are one parameter
  std::vector<std::string> lora_targets;  // PEFT's default target_modules for the family
  std::string layers_pattern;             // the module list that layer indices count in: "layers", "h"
  bool dropout = false;                   // the base's own dropout is active in training
};

class Model {
 public:
  virtual ~Model() = default;

  const ModelFacts& facts() const { return facts_; }
  /// Hugging Face's config.json of this model.
  virtual nlohmann::ordered_json config_json() const = 0;

  /// Final hidden states [tokens, hidden] (after the last norm) of the pass's samples.
  virtual Var hidden(Forward&, const Ids& ids) = 0;
  virtual const Linear& head() const = 0;
  /// An empty cache for `rows` rows of at most `capacity` tokens.
  virtual KvCache make_cache(int64_t rows, int64_t capacity, DType compute) const = 0;
  /// The embedding of ids, [vocab, hidden] (prompts start from its rows).
  virtual const Parameter& embeddings() const = 0;

  /// Linear layers in forward order, the head last.
  virtual std::vector<Linear*> linears() = 0;
  /// Every place of a parameter, in Hugging Face's order of names; tied ones appear twice.
  virtual std::vector<Slot*> slots() = 0;

  /// What acts on the sublayers' outputs, in the order of attaching.
  std::vector<BlockAdapter*>& block_adapters() { return block_adapters_; }

  /// Parameters that somebody owns on the model's behalf live as long as it does.
  Parameter& own(Parameter p) { return parameters_.emplace_back(std::move(p)); }

 protected:
  ModelFacts facts_;
  std::vector<BlockAdapter*> block_adapters_;

 private:
  std::deque<Parameter> parameters_;  // addresses stay
};

/// The distinct parameters behind the slots, first place first.
std::vector<Parameter*> distinct_parameters(Model& model);

}  // namespace ft
