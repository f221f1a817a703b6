#include "adapters/modules_to_save.h"

#include "adapters/targets.h"

namespace ft {

std::vector<AdapterTensor> save_modules(Model& model, const std::vector<std::string>& modules,
                                        const AttachOptions& options) {
  std::vector<AdapterTensor> saved;
  for (const std::string& name : modules) {
    bool found = false;
    for (Slot* slot : model.slots()) {
      if (!names_module(name, slot->name.substr(0, slot->name.rfind('.')))) continue;
      found = true;
      const Parameter& base = *slot->parameter;
      Parameter copy = Parameter::make(slot->name, base.shape, base.layout, options.compute,
                                       MemoryClass::trainable, options.device);
      from_plain(copy, to_plain(base));
      slot->parameter = &model.own(std::move(copy));
      slot->parameter->train(options.compute);
      bool conv1d = false;
      for (const Linear* l : model.linears()) conv1d |= l->conv1d && &l->weight == slot;
      saved.push_back({"base_model.model." + slot->name, slot->parameter, conv1d});
    }
    if (!found)
      bad_input("{}: modules_to_save: this {} model has no module '{}'", options.where,
                model.facts().model_type, name);
  }
  return saved;
}

}  // namespace ft
