#include "engine/data/tokenizer_json.h"

#include <limits>

#include "engine/core/check.h"
#include "engine/io/printable.h"

namespace ft {

namespace {

const nlohmann::json& member(const nlohmann::json& node, const char* key, const char* type,
                             const std::string& source) {
  if (!node.is_object())
    bad_input("{}: expected an object with \"{}\", got {}", source, key, node.type_name());
  const auto it = node.find(key);
  if (it == node.end()) bad_input("{}: \"{}\" is missing where {} is expected", source, key, type);
  return *it;
}

[[noreturn]] void wrong_type(const nlohmann::json& value, const char* key, const char* type,
                             const std::string& source) {
  bad_input("{}: \"{}\" should be {}, got {}", source, key, type, value.type_name());
}

}  // namespace

std::string json_string(const nlohmann::json& node, const char* key, const std::string& source) {
  const auto& value = member(node, key, "a string", source);
  if (!value.is_string()) wrong_type(value, key, "a string", source);
  return value.get<std::string>();
}

const nlohmann::json& json_array(const nlohmann::json& node, const char* key, const std::string& source) {
  const auto& value = member(node, key, "a list", source);
  if (!value.is_array()) wrong_type(value, key, "a list", source);
  return value;
}

const nlohmann::json& json_object(const nlohmann::json& node, const char* key, const std::string& source) {
  const auto& value = member(node, key, "an object", source);
  if (!value.is_object()) wrong_type(value, key, "an object", source);
  return value;
}

const nlohmann::json& json_or_null(const nlohmann::json& node, const char* key) {
  static const nlohmann::json null;
  if (!node.is_object()) return null;
  const auto it = node.find(key);
  return it == node.end() ? null : *it;
}

bool json_bool(const nlohmann::json& node, const char* key, bool fallback, const std::string& source) {
  const auto& value = json_or_null(node, key);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) wrong_type(value, key, "true or false", source);
  return value.get<bool>();
}

std::optional<std::string> json_optional_string(const nlohmann::json& node, const char* key,
                                                const std::string& source) {
  const auto& value = json_or_null(node, key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_string()) wrong_type(value, key, "a string", source);
  return value.get<std::string>();
}

int32_t json_id(const nlohmann::json& value, const std::string& what, const std::string& source) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  const auto id = whole_number(value);
  if (!id || *id > most) {
    bad_input("{}: the id of {} should be a whole number from 0 to {}, got {}", source, printable(what), most,
              printable(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  }
  return static_cast<int32_t>(*id);
}

}  // namespace ft
