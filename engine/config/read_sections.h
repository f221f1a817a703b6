// From the sections of exp.yaml to their structs; internal to the folder.
#pragma once

#include <string>
#include <string_view>

#include "engine/config/experiment.h"
#include "engine/config/fields.h"

namespace ft {

/// Each throws InputError with file and line for unknown keys, wrong types and values, and keys that
/// contradict each other.
ModelSection read_model(const ConfigNode& node, const LoadOptions& options);
DataSection read_data(const ConfigNode& node, const LoadOptions& options);
TrainingSection read_training(const ConfigNode& node, const DataSection& data);
GenerationSection read_generation(const ConfigNode& node);

/// The second half of read_training(): checks the keys against each other and settles the open ones.
void settle_training(Fields& fields, TrainingSection& training, const DataSection& data);

/// "it belongs under training" for a key that another section knows; else empty.
std::string other_section(std::string_view key);

}  // namespace ft
