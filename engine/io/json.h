// JSON from strangers: a document, or a file of one value a line (JSONL).
//
// Stricter than most readers where leniency hides a mistake: a key that appears twice, nesting deeper than
// kMaxJsonDepth, malformed UTF-8, NaN and Infinity are errors. A byte order mark and CRLF line ends are
// accepted. Every error is an InputError "FILE:LINE: …" on one line. Objects are ordered by key (std::map),
// so reading an object of n keys costs n log n whoever wrote it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/io/mapped_file.h"
#include "engine/io/text_file.h"

namespace ft {

using Json = nlohmann::json;

constexpr int kMaxJsonDepth = 128;

/// The one JSON value in `text`. Errors read "NAME:LINE: …", lines counted from `first_line`.
Json parse_json(std::string_view text, std::string_view name, int64_t first_line = 1);

/// The one JSON value in the file `path`, which may be a pipe.
Json read_json_file(const std::filesystem::path& path, size_t max_bytes = kMaxTextBytes);

/// `value` where it is a whole number from 0 to 2^63 - 1: the counts, sizes and offsets of
/// real files. (nlohmann's get() converts any number, and means nothing for 1e20.)
std::optional<int64_t> whole_number(const Json& value);

/// Reads a JSONL file value by value; one line is in memory at a time. Blank lines are skipped.
class JsonlReader {
 public:
  /// Throws InputError as MappedFile does.
  explicit JsonlReader(const std::filesystem::path& path) : file_(path) {}

  /// The next value into `value`; false at the end of the file. Throws InputError "FILE:LINE: …" on a bad
  /// line; the next call then goes on behind it.
  bool next(Json& value);

  /// That value as it stands in the file; valid until the next call.
  std::string_view text() const { return text_; }
  /// Line of the value that next() returned last, from 1.
  int64_t line() const { return line_; }
  /// "FILE:LINE", for messages about the value that next() returned last.
  std::string where() const;

 private:
  MappedFile file_;
  size_t offset_ = 0;
  size_t released_ = 0;
  int64_t line_ = 0;
  std::string_view text_;
};

}  // namespace ft
