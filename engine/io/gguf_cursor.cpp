#include "engine/io/gguf_cursor.h"

namespace ft {

const std::byte* GgufCursor::take(uint64_t count, std::string_view what) {
  if (count > remaining()) {
    bad_input(
        "{}: {} at byte {} takes {} bytes, the file has {} left; it is damaged or cut short, fetch it again",
        file_, what, offset_, count, remaining());
  }
  const std::byte* data = bytes_.data() + offset_;
  offset_ += count;
  return data;
}

std::string_view GgufCursor::string(std::string_view what) {
  const auto length = number<uint64_t>(what);
  return {reinterpret_cast<const char*>(take(length, what)), length};
}

}  // namespace ft
