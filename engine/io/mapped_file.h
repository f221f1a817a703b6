// A whole file as read-only memory: mapped, never copied.
//
// Pages come in when they are first read and belong to the system's cache, so opening costs microseconds
// whatever the size; release() hands consumed pages back, which keeps a loader's resident memory at the part
// it is reading. A file that shrinks or is rewritten in place while it is mapped is outside of what this
// class can answer for: the kernel raises SIGBUS on a page that no longer exists. ftengine itself only ever
// replaces files by rename, which leaves existing mappings whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace ft {

class MappedFile {
 public:
  /// Maps the regular file `path`, which may be empty.
  /// Throws InputError if it is missing, unreadable or not a regular file.
  explicit MappedFile(std::filesystem::path path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  /// The bytes stay where they are when the object is moved. Any number of threads may read.
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }

  /// The whole pages inside [offset, offset + length) are not needed now: they leave resident memory. Reading
  /// them again is legal and brings them back from the file. Pages only partly inside stay.
  void release(size_t offset, size_t length) const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ft
