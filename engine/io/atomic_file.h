// Replace a file, all or nothing.
//
// Invariant: at every moment, power cuts included, `path` names either the previous file whole or the new one
// whole. The new bytes go to a hidden neighbour (".NAME.tmp-PID-N"), are synced, and take the name by rename.
// Whatever fails before that leaves the previous file untouched and removes the neighbour; only a killed
// process leaves one behind. Costs one fsync of the data and one of the folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "engine/core/check.h"
#include "engine/io/file_descriptor.h"

namespace ft {

/// A file or folder could not be written: the disk is full, a limit is reached, it may not be.
class WriteError : public Error {
 public:
  /// "FILE: cannot write: REASON" and `rest` behind it.
  WriteError(std::filesystem::path path, int error, std::string_view rest = {})
      : Error(fmt::format("{}: cannot write: {}{}", path.string(), errno_text(error), rest)),
        path_(std::move(path)),
        error_(error) {}
  const std::filesystem::path& path() const { return path_; }
  /// The errno value.
  int error() const { return error_; }

 private:
  std::filesystem::path path_;
  int error_;
};

class AtomicFile {
 public:
  /// Creates the neighbour. Throws WriteError, as every member does, in the form
  /// "FILE: cannot write: REASON; the previous file is unchanged".
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Without a commit: removes the neighbour, and `path` stays as it was.
  ~AtomicFile();

  /// Appends. Small pieces are gathered, so a caller may write value by value.
  void write(const void* data, size_t bytes);
  /// Makes what was written the content of `path`. Last call on this object.
  void commit();

 private:
  [[noreturn]] void fail_unchanged(int error) const;
  void write_through(const void* data, size_t bytes);
  void flush();

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  FileDescriptor file_;
  std::unique_ptr<std::byte[]> buffer_;
  size_t buffered_ = 0;
  bool committed_ = false;
};

/// A name beside `path` that no other writer of this host uses: ".NAME.tmp-PID-N".
std::filesystem::path temporary_neighbour(const std::filesystem::path& path);

/// Removes the neighbours in `folder` (files and whole folders) whose process is gone, or had this process's
/// number: so call it before this process writes there. Returns how many; what cannot be removed stays.
int remove_stray_neighbours(const std::filesystem::path& folder);

/// Makes the entries of `folder` (renames in it) survive a power cut. Returns 0 or an errno value; a file
/// system that cannot sync folders counts as success.
int sync_folder(const std::filesystem::path& folder);

/// The folder that holds `path`; "." for a bare name.
std::filesystem::path parent_folder(const std::filesystem::path& path);

}  // namespace ft
