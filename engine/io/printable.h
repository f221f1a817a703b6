// Text from a stranger's file, made fit for a one-line error message.
#pragma once

#include <string>
#include <string_view>

namespace ft {

/// `text` on one line: control characters and malformed UTF-8 become '?', and what is longer than `max_bytes`
/// is cut at a character's end and closed with "…".
std::string printable(std::string_view text, size_t max_bytes = 120);

}  // namespace ft
