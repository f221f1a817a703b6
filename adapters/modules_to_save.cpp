#include "adapters/modules_to_save.h"

#include <algorithm>

namespace ft {

Parameter& train_copy(Model& model, Slot& slot, const AttachOptions& options, SlotCopies& copies) {
  const Parameter& base = *slot.parameter;
  Parameter copy = Parameter::make(slot.name, base.shape, base.layout, options.compute,
                                   MemoryClass::trainable, options.device);
  from_plain(copy, to_plain(base));
  Parameter& owned = model.own(std::move(copy));
  copies.add(slot, &owned);
  slot.parameter = &owned;
  slot.parameter->train(options.compute);
  return *slot.parameter;
}

std::vector<AdapterTensor> save_modules(Model& model, const std::vector<std::string>& modules,
                                        const AttachOptions& options, SlotCopies& copies) {
  std::vector<AdapterTensor> saved;
  for (const std::string& name : modules) {
    bool found = false;
    for (Slot* slot : model.slots()) {
      if (!slot->name.substr(0, slot->name.rfind('.')).ends_with(name)) continue;
      found = true;
      const std::string file_name = "base_model.model." + slot->name;
      const auto same = [&](const AdapterTensor& t) { return t.name == file_name; };
      if (std::any_of(saved.begin(), saved.end(), same)) continue;  // two names for one module
      train_copy(model, *slot, options, copies);
      bool conv1d = false;
      for (const Linear* l : model.linears()) conv1d |= l->conv1d && &l->weight == slot;
      saved.push_back({file_name, slot->parameter, conv1d});
    }
    if (!found)
      bad_input("{}: modules_to_save: this {} model has no module '{}'", options.where,
                model.facts().model_type, name);
  }
  return saved;
}

}  // namespace ft
