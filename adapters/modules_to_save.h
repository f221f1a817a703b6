// PEFT's `modules_to_save`: whole modules that are trained and stored beside the adapter. The slots of such a
// module get a trained copy in place of the base's parameter, so the base stays as it is, and a tied head or
// embedding is untied in memory.
#pragma once

#include <string>
#include <vector>

#include "engine/nn/adapter.h"

namespace ft {

/// Puts trained copies into the slots of every module whose name ends with one of `modules`: in whole parts
/// or not ("norm" is "input_layernorm" too), as in PEFT. Returns them under PEFT's names. Throws
/// ft::InputError for a name that matches nothing.
std::vector<AdapterTensor> save_modules(Model& model, const std::vector<std::string>& modules,
                                        const AttachOptions& options, SlotCopies& copies);

/// Puts a trained copy into one slot. The copy belongs to the model. `copies` remembers what stood there.
Parameter& train_copy(Model& model, Slot& slot, const AttachOptions& options, SlotCopies& copies);

}  // namespace ft
