#include "engine/io/append_file.h"

#include <fcntl.h>

#include <cerrno>

#include "engine/io/atomic_file.h"
#include "engine/io/disk.h"

namespace ft {

AppendFile::AppendFile(const std::filesystem::path& path, bool go_on) : path_(path) {
  if (const int error = disk::create_file(path, O_WRONLY | O_APPEND | (go_on ? 0 : O_TRUNC), file_))
    throw WriteError(path, error);
  const off_t end = ::lseek(file_.get(), 0, SEEK_END);
  if (end < 0) throw WriteError(path, errno);
  bytes_ = end;
}

std::optional<AppendFile> AppendFile::make_new(const std::filesystem::path& path) {
  FileDescriptor file;
  const int error = disk::create_file(path, O_WRONLY | O_APPEND | O_EXCL, file);
  if (error == EEXIST) return std::nullopt;
  if (error) throw WriteError(path, error);
  return AppendFile(path, std::move(file), 0);
}

void AppendFile::append(std::string_view record) {
  if (const int error = disk::write(file_, record.data(), record.size(), path_)) {
    // Shrinking needs no room. Should it fail all the same, the error that is thrown is still the first one.
    [[maybe_unused]] const int ignored = ::ftruncate(file_.get(), bytes_);
    throw WriteError(path_, error);
  }
  bytes_ += static_cast<int64_t>(record.size());
}

void AppendFile::sync() const {
  if (const int error = disk::sync(file_, path_)) throw WriteError(path_, error);
}

}  // namespace ft
