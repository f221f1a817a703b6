#include "engine/nn/slot_copies.h"

#include "engine/core/check.h"

namespace ft {

void SlotCopies::set_active(bool active) {
  for (const Copy& c : copies_)
    if (active && c.slot->parameter != c.base && c.slot->parameter != c.copy)
      bad_input("{}: two adapters have their own {}; switch one of them off first", c.slot->name,
                c.slot->name);
  for (const Copy& c : copies_)
    if (active || c.slot->parameter == c.copy) c.slot->parameter = active ? c.copy : c.base;
}

}  // namespace ft
