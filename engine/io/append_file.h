// A file that grows by whole records while others read it: metrics.jsonl, TensorBoard's events.
//
// Invariant: what stands in the file is whole records. One that the disk does not take whole is taken back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/io/file_descriptor.h"

namespace ft {

class AppendFile {
 public:
  /// Opens `path`, an empty file unless it is to `go_on` behind what stands there. Throws WriteError, as
  /// append() and sync() do.
  AppendFile(const std::filesystem::path& path, bool go_on);
  /// A file of that name which did not exist before; nothing if there is one.
  static std::optional<AppendFile> make_new(const std::filesystem::path& path);

  /// One record.
  void append(std::string_view record);
  /// Makes what was appended survive a power cut.
  void sync() const;
  int64_t bytes() const { return bytes_; }

 private:
  AppendFile(const std::filesystem::path& path, FileDescriptor file, int64_t bytes)
      : path_(path), file_(std::move(file)), bytes_(bytes) {}

  std::filesystem::path path_;
  FileDescriptor file_;
  int64_t bytes_ = 0;
};

}  // namespace ft
