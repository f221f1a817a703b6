// A fine-tuning method as the run loop sees it. One file a method in adapters/, one line in its registry.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/nn/model.h"
#include "engine/nn/slot_copies.h"

namespace ft {

/// One tensor of adapter_model.safetensors.
struct AdapterTensor {
  std::string name;  // PEFT's: "base_model.model.….lora_A.weight"
  Parameter* parameter = nullptr;
  bool transposed = false;  // the file has the transpose of the parameter
  bool frozen = false;      // a copy of the base that PEFT's files carry: checked when read, never trained
  std::optional<std::vector<int64_t>> rows = {};  // those of the parameter that the file has; none: all
};

struct AttachOptions {
  DType compute = DType::f32;  // of what is trained
  Device device = {};          // where the model is
  uint64_t seed = 0;           // of the initial values
  int index = 0;               // ordinal among stacked adapters: keeps dropout sites apart
  bool training = true;        // false: what a saved adapter stores is enough, an encoder is not made
  double b_rate = 1;           // LoRA+: the learning rate of lora_B and of vectors over that of the rest
  std::string where;           // for messages: the YAML or adapter_config.json
  /// Of starting values that come from a text or from the model's words: the model's tokenizer (special
  /// tokens as it adds them), and where the model runs. Needed by methods that start so.
  std::function<std::vector<int32_t>(const std::string&)> tokenize = {};
  Stream* stream = nullptr;
};

/// What the step hooks are told.
struct StepInfo {
  bool training = false;
  uint64_t dropout_key = 0;
  int64_t step = 0, total_steps = 0;  // 0-based optimizer step
  double loss_scale = 1;              // what all gradients are multiplied by: float16's, see loss_scale.h
  double gradient_scale = 1;          // after_update(): what the update multiplied the gradients with
};

/// What an adapter puts before the samples' own tokens; undefined or empty: nothing.
struct VirtualParts {
  Var prompt;  // [P, hidden]: rows that the model reads as embeddings
  VirtualTokens::Part prefix;
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
  /// What the configuration asks for and does not get, or what its owner must know: a line each.
  virtual std::vector<std::string> notes() const { return {}; }
  /// What `adapter:` must say so that a run repeats this one. Another thing than adapter_config.json where
  /// that tells the result (PiSSA's two pairs) or has no field for it.
  virtual nlohmann::ordered_json run_json() const {
    nlohmann::ordered_json j = config_json("");
    if (const auto own = extra_json(); own.is_object()) j.update(own);
    return j;
  }
  /// Can merge() fold everything that this adapter does into the base's weights?
  virtual bool mergeable() const { return false; }
  /// Adds the adapter's change of `slot` to its plain row-major values.
  virtual void merge(const Slot& /*slot*/, std::vector<float>& /*values*/) const {}

  // ---- around an optimizer step; see engine/nn/adapter_step.h for the order

  /// Virtual tokens that it puts before the samples, by kind.
  virtual int64_t prompt_rows() const { return 0; }
  virtual int64_t prefix_rows() const { return 0; }
  /// Rows that prepare() computes on: the layout of its pass has one sample of so many.
  virtual int64_t step_rows() const { return 0; }
  /// Once before the passes of a step, of an evaluation, of a generation: values that all of them share
  /// (a prompt encoder's output, norms of weights). `pass` has a tape of its own, whose backward runs once,
  /// after that of the passes.
  virtual void prepare(Forward& /*pass*/, VirtualParts& /*parts*/) {}
  /// Once after the passes of a training step: a term of the loss of its own, whose gradient, times
  /// info.loss_scale, it adds to the parameters'. Returns the term.
  virtual double extra_loss(Stream&, const StepInfo&) { return 0; }
  /// Once after the optimizer's update: the gradients, as the update used them before clipping, are still
  /// there, times info.loss_scale.
  virtual void after_update(Stream&, const StepInfo&) {}
  /// Of a trained parameter, beside training.learning_rate (LoRA+).
  virtual double learning_rate_factor(const Parameter&) const { return 1; }
  /// Does it drop anything in training? Then a prompt is not shared among samples.
  virtual bool has_dropout() const { return false; }
  /// Do the passes of every step read the same tensors? Not where prepare() makes some. (PassRecordings)
  virtual bool passes_repeat() const { return false; }

  // ---- what is kept beside PEFT's files

  /// Tensors of prompt_encoder.safetensors; written beside the adapter, read by init_from and by a resumed
  /// run.
  virtual std::vector<AdapterTensor> encoder_tensors() const { return {}; }
  /// The method's own state (averages of importance, …): checkpoints hold it, adapters do not.
  virtual std::vector<AdapterTensor> state_tensors() const { return {}; }
  /// What PEFT's configuration has no field for: `adapter` of ftengine.json, read back as if it stood in
  /// adapter_config.json; null: nothing.
  virtual nlohmann::ordered_json extra_json() const { return {}; }
  /// Called before the adapter is stored: what is stored is brought in line with what is trained (the prompt
  /// that an encoder makes).
  virtual void settle(Stream&) {}

  /// Switched off, it leaves the base as it is, bit for bit.
  /// A method that hangs in sites switches them as well. Throws ft::InputError where another adapter's copy
  /// stands in a place of this one's.
  virtual void set_active(bool active) {
    copies_.set_active(active);
    active_ = active;
  }
  bool active() const { return active_; }
  /// Does it change the base's own parameters, for every row of a pass?
  bool stands_in_base() const { return !copies_.empty(); }

  /// Multiplies its change of the base, in a run or merged. Throws ft::InputError where the method's change
  /// is no multiple of anything.
  virtual void set_scale(double scale) {
    if (scale != 1) bad_input("a {} adapter cannot be scaled; LORA adapters can", peft_type());
  }

 protected:
  SlotCopies copies_;  // what it trains in the base's places

 private:
  bool active_ = true;
};

}  // namespace ft
