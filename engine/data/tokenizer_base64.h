// Base64 (RFC 4648), the reading side.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ft {

/// The bytes that `text` writes; none where it is not base64. Padding may be left out.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace ft
