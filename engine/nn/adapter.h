// A fine-tuning method as the run loop sees it. One file a method in adapters/, one line in its registry.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/nn/model.h"

namespace ft {

/// One tensor of adapter_model.safetensors.
struct AdapterTensor {
  std::string name;  // PEFT's: "base_model.model.….lora_A.weight"
  Parameter* parameter = nullptr;
  bool transposed = false;  // the file has the transpose of the parameter
  bool frozen = false;      // a copy of the base that PEFT's files carry: checked when read, never trained
};

struct AttachOptions {
  DType compute = DType::f32;  // of what is trained
  Device device = {};          // where the model is
  uint64_t seed = 0;           // of the initial values
  int index = 0;               // ordinal among stacked adapters: keeps dropout sites apart
  std::string where;           // for messages: the YAML or adapter_config.json
};

class Adapter {
 public:
  virtual ~Adapter() = default;

  virtual std::string_view peft_type() const = 0;
  /// Makes the adapter's parameters, hangs it into the model's sites, sets what it trains trainable. Called
  /// once. Throws ft::InputError when the configuration does not fit the model.
  virtual void attach(Model& model, const AttachOptions& options) = 0;
  /// What is stored, in a fixed order.
  virtual std::vector<AdapterTensor> tensors() const = 0;
  /// What is trained, in a fixed order; base parameters (biases) included. Here: what is stored and not
  /// frozen.
  virtual std::vector<Parameter*> trainables() const {
    std::vector<Parameter*> all;
    for (const AdapterTensor& t : tensors())
      if (!t.frozen) all.push_back(t.parameter);
    return all;
  }
  /// adapter_config.json. `base` is base_model_name_or_path.
  virtual nlohmann::ordered_json config_json(const std::string& base) const = 0;
  /// Can merge() fold everything that this adapter does into the base's weights?
  virtual bool mergeable() const { return false; }
  /// Adds the adapter's change of `slot` to its plain row-major values.
  virtual void merge(const Slot& /*slot*/, std::vector<float>& /*values*/) const {}
};

}  // namespace ft
