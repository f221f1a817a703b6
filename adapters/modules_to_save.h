// PEFT's `modules_to_save`: whole modules that are trained and stored beside the adapter. The slots of such a
// module get a trained copy in place of the base's parameter, so the base stays as it is, and a tied head or
// embedding is untied in memory.
#pragma once

#include <string>
#include <vector>

#include "engine/nn/adapter.h"

namespace ft {

/// The slots of an adapter whose base parameter a trained copy replaces. Switched off, the base's own stand
/// there again.
class SlotCopies {
 public:
  void add(Slot& slot, Parameter* copy) { copies_.push_back({&slot, slot.parameter, copy}); }
  /// Throws ft::InputError where another adapter's copy stands in the place.
  void set_active(bool active);

 private:
  struct Copy {
    Slot* slot;
    Parameter *base, *copy;
  };
  std::vector<Copy> copies_;
};

/// Puts trained copies into the slots of every module whose name ends with one of `modules`: in whole parts
/// or not ("norm" is "input_layernorm" too), as in PEFT. Returns them under PEFT's names. Throws
/// ft::InputError for a name that matches nothing.
std::vector<AdapterTensor> save_modules(Model& model, const std::vector<std::string>& modules,
                                        const AttachOptions& options, SlotCopies* copies = nullptr);

/// Puts a trained copy into one slot. The copy belongs to the model. `copies` remembers what stood there.
Parameter& train_copy(Model& model, Slot& slot, const AttachOptions& options, SlotCopies* copies = nullptr);

}  // namespace ft
