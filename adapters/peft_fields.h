// Fields that the configurations of all methods share, read and written as PEFT (0.21) does.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/fields.h"

namespace ft {

/// Accepts what PEFT writes about the file and not about the method, and `init_from`.
void ignore_file_fields(Fields& fields);

/// Throws ft::InputError for the first key that nobody asked for; in a `saved` adapter's file, which another
/// version of PEFT may have written, only where it asks for something.
void finish_fields(Fields& fields, bool saved);

/// A list of names, one name, or null (leaves `names` empty).
void read_names(Fields& fields, std::string_view key, std::vector<std::string>& names);

/// What PEFT's LoRA-like configurations have beside the method: accepted as long as it asks for nothing.
void accept_unsupported_lora_fields(Fields& fields);

/// `layers_to_transform`: a list of indices, one index, or null.
void read_layers(Fields& fields, std::vector<int64_t>& layers);

/// The beginning of an adapter_config.json; `base` is base_model_name_or_path.
nlohmann::ordered_json file_fields(std::string_view peft_type, const std::string& base);

/// A list, or null for an empty one.
template <class T>
nlohmann::ordered_json list_or_null(const std::vector<T>& list) {
  return list.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(list);
}

}  // namespace ft
