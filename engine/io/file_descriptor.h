// One open file descriptor, closed when its owner goes; and the words for an errno value.
#pragma once

#include <unistd.h>

#include <string>
#include <system_error>
#include <utility>

namespace ft {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// The words for an errno value, safe to call from any thread.
inline std::string errno_text(int error) {
  return std::generic_category().message(error);
}

}  // namespace ft
