// One record of a data file: its fields, by the names that the format has for them, and errors that name its
// line.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/config/sections.h"
#include "engine/data/conversation.h"
#include "engine/io/json.h"

namespace ft {

/// Refers to the JSON value and the columns, which must outlive it.
class Record {
 public:
  using Columns =
      std::vector<std::pair<std::string, std::string>>;  // the format's name of a field: the file's

  /// `where`: "FILE:LINE". Throws InputError unless `json` is an object.
  Record(const Json& json, const Columns& columns, std::string where);

  /// What the file calls the format's `key`.
  std::string_view name(std::string_view key) const;
  /// Null for a field that is not there, or is null.
  const Json* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Empty for a field that is not there unless it is `required`. Throws InputError.
  std::string text(std::string_view key, bool required) const;
  /// A list of ids in [low, high), or kNoTarget. Throws InputError.
  std::vector<int32_t> ids(std::string_view key, int64_t low, int64_t high) const;
  const std::string& where() const { return where_; }

 private:
  const Json& json_;
  const Columns& columns_;
  std::string where_;
};

/// messages[].role/content, or ShareGPT's conversations[].from/value. `text` is the record as it is written:
/// members of a message keep their order, which templates may show. Throws InputError.
Conversation read_conversation(const Record& record, std::string_view text);

}  // namespace ft
