// A walk over the head of a GGUF file that cannot leave it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/core/check.h"

namespace ft {

/// Walks over a file's bytes and refuses to leave them: "FILE: it is cut short: …".
class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }
  const std::string& file() const { return file_; }

  /// The next `count` bytes, which `what` names in the error if they are not there.
  const std::byte* take(uint64_t count, std::string_view what);
  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what), sizeof(T));
    return value;
  }
  /// u64 length, bytes.
  std::string_view string(std::string_view what);

 private:
  std::span<const std::byte> bytes_;
  std::string file_;
  size_t offset_ = 0;
};

}  // namespace ft
