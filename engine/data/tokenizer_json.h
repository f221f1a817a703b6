// Reading tokenizer files' JSON: every access says what was expected when it is not there.
//
// `source` is the file's name and opens each message; all functions throw InputError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/io/json.h"

namespace ft {

/// node[key], which must be there and have the type.
std::string json_string(const nlohmann::json& node, const char* key, const std::string& source);
const nlohmann::json& json_array(const nlohmann::json& node, const char* key, const std::string& source);
const nlohmann::json& json_object(const nlohmann::json& node, const char* key, const std::string& source);

/// node[key] where it is there and not null, else the fallback or nothing.
bool json_bool(const nlohmann::json& node, const char* key, bool fallback, const std::string& source);
std::optional<std::string> json_optional_string(const nlohmann::json& node, const char* key,
                                                const std::string& source);
/// node[key], or null where it is not there.
const nlohmann::json& json_or_null(const nlohmann::json& node, const char* key);

/// A token id: an integer in [0, 2^31).
int32_t json_id(const nlohmann::json& value, const std::string& what, const std::string& source);

}  // namespace ft
