#include "engine/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "engine/core/check.h"
#include "engine/io/file_descriptor.h"

namespace ft {

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a named pipe must fail below, not wait for a writer.
  const FileDescriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) bad_input("{}: cannot open: {}", path_.string(), errno_text(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) bad_input("{}: cannot open: {}", path_.string(), errno_text(errno));
  if (S_ISDIR(status.st_mode)) bad_input("{}: is a folder; give a file", path_.string());
  if (!S_ISREG(status.st_mode)) bad_input("{}: is not a regular file; give one", path_.string());
  if (status.st_size == 0) return;  // mmap refuses a length of zero
  const auto size = static_cast<size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) bad_input("{}: cannot map: {}", path_.string(), errno_text(errno));
  data_ = static_cast<const std::byte*>(data);
  size_ = size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(size_t offset, size_t length) const {
  FT_CHECK(offset <= size_ && length <= size_ - offset,
           "[release] expected a range inside {} bytes, got {} + {}", size_, offset, length);
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t end = offset + length;
  const size_t first = (offset + page - 1) / page * page;
  // The last page of the file belongs to it whole, however few of its bytes do.
  const size_t last = end == size_ ? (end + page - 1) / page * page : end / page * page;
  // Advice only: if the kernel declines, the pages stay resident and nothing else changes.
  if (first < last) ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

}  // namespace ft
