// Files of rows as JSON values, one at a time, whatever the file is: JSONL, a JSON array, CSV, TSV. The first
// character tells an array from JSONL; ".csv" and ".tsv" tell the others.
//
// One row is in memory at a time. Every error is an InputError "FILE:LINE: …" about one row; the next call
// goes on behind it. CSV is RFC 4180: a line of names, quotes around fields that hold commas, quotes or line
// ends. In TSV a quote is a character like any other, and a field cannot hold a tab or a line end.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "engine/io/json.h"

namespace ft {

class RecordReader {
 public:
  virtual ~RecordReader() = default;
  /// The next row into `record`; false at the end.
  virtual bool next(Json& record) = 0;
  /// Line on which the row that next() returned last begins, from 1.
  virtual int64_t line() const = 0;
  /// That row as it stands in the file, where it is JSON; else empty. Valid until the next call.
  virtual std::string_view text() const { return {}; }
  /// "FILE:LINE" of that row.
  std::string where() const;

 protected:
  explicit RecordReader(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

std::unique_ptr<RecordReader> open_records(const std::filesystem::path& path);

/// A file that format `text` takes whole: not one of rows.
bool is_plain_text(const std::filesystem::path& path);

}  // namespace ft
