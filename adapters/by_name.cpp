// `trainable: [regex]`: the base's parameters whose names match are trained, whatever they are, beside an
// adapter or alone; for what no method covers. Copies stand in the base's places while they train; a tied
// head and embedding stay one parameter. The two files have PEFT's form, the tensors the base model's own
// names.
#include <algorithm>

#include "adapters/modules_to_save.h"
#include "adapters/peft_fields.h"
#include "adapters/registry.h"
#include "adapters/targets.h"
#include "engine/config/nearest.h"

namespace ft {
namespace {

class ByName : public Adapter {
 public:
  explicit ByName(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {}

  std::string_view peft_type() const override { return "TRAINABLE"; }

  void attach(Model& model, const AttachOptions& options) override {
    std::vector<bool> used(patterns_.size());
    const std::vector<Slot*> slots = model.slots();
    for (Slot* slot : slots) {
      bool chosen = false;
      for (size_t i = 0; i < patterns_.size(); ++i)
        if (matches_end(patterns_[i], slot->name)) chosen = used[i] = true;
      if (!chosen || in_place(slot->parameter)) continue;
      if (slot->parameter->trainable)
        bad_input("{}: trainable: {} is trained by the adapter already; take it out of one", options.where,
                  slot->name);
      train(model, slots, *slot, options);
    }
    for (size_t i = 0; i < used.size(); ++i)
      if (!used[i]) no_match(slots, model.facts().model_type, patterns_[i], options.where);
  }

  std::vector<AdapterTensor> tensors() const override { return tensors_; }

  nlohmann::ordered_json config_json(const std::string& base) const override {
    nlohmann::ordered_json j = file_fields(peft_type(), base);
    j["trainable"] = patterns_;
    return j;
  }

  // What is trained stands in the model's slots: there is nothing to fold in.
  bool mergeable() const override { return true; }
  bool passes_repeat() const override { return true; }

 private:
  bool in_place(const Parameter* p) const {
    return std::any_of(tensors_.begin(), tensors_.end(),
                       [p](const AdapterTensor& t) { return t.parameter == p; });
  }

  // Everything that shares the slot's parameter goes on sharing the copy.
  void train(Model& model, const std::vector<Slot*>& slots, Slot& slot, const AttachOptions& options) {
    const Parameter* base = slot.parameter;
    Parameter& copy = train_copy(model, slot, options, copies_);
    for (Slot* other : slots)
      if (other->parameter == base) {
        copies_.add(*other, &copy);
        other->parameter = &copy;
      }
    bool conv1d = false;
    for (const Linear* l : model.linears()) conv1d |= l->conv1d && &l->weight == &slot;
    tensors_.push_back({slot.name, &copy, conv1d});
  }

  // Names without their layer's number, each once: what people choose from.
  [[noreturn]] static void no_match(const std::vector<Slot*>& slots, const std::string& type,
                                    const std::string& pattern, const std::string& where) {
    std::vector<std::string> known, last;
    for (const Slot* slot : slots) {
      const std::string& name = slot->name;
      known.push_back(name);
      const size_t module = name.rfind('.', name.rfind('.') - 1);
      last.push_back(module == std::string::npos ? name : name.substr(module + 1));
    }
    std::optional<std::string> near = nearest(pattern, known);
    if (!near) near = nearest(pattern, last);
    std::vector<std::string> shown;
    for (const std::string& name : last)
      if (std::find(shown.begin(), shown.end(), name) == shown.end()) shown.push_back(name);
    bad_input("{}: trainable: no parameter of this {} model matches '{}'{}; names end with: {}", where, type,
              pattern, near ? fmt::format("; did you mean '{}'?", *near) : "", fmt::join(shown, ", "));
  }

  std::vector<std::string> patterns_;
  std::vector<AdapterTensor> tensors_;
};

}  // namespace

std::unique_ptr<Adapter> make_by_name(const ConfigNode& config, const std::string& section, bool saved) {
  std::vector<std::string> patterns;
  Fields f(config, section);
  ignore_file_fields(f);
  read_names(f, "trainable", patterns);
  finish_fields(f, saved);
  if (patterns.empty()) f.fail("trainable", "names no parameter; write regular expressions");
  return std::make_unique<ByName>(std::move(patterns));
}

}  // namespace ft
