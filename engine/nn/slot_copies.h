// Trained copies in the places of a base's parameters, and the way back.
#pragma once

#include <vector>

#include "engine/nn/sites.h"

namespace ft {

/// The slots of an adapter whose base parameter a trained copy replaces. Switched off, the base's own stand
/// there again.
class SlotCopies {
 public:
  void add(Slot& slot, Parameter* copy) { copies_.push_back({&slot, slot.parameter, copy}); }
  bool empty() const { return copies_.empty(); }
  /// Throws ft::InputError where another adapter's copy stands in the place.
  void set_active(bool active);

 private:
  struct Copy {
    Slot* slot;
    Parameter *base, *copy;
  };
  std::vector<Copy> copies_;
};

}  // namespace ft
