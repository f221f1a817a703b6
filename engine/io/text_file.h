// Small files whole: configurations, indices, reports.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace ft {

/// No configuration, vocabulary or index is larger; a file that is gets an error instead of all the memory.
constexpr size_t kMaxTextBytes = size_t{256} << 20;

/// The bytes of `path`, which may be a pipe.
/// Throws InputError if it is missing, unreadable, a folder, or holds more than `max_bytes`.
std::string read_text_file(const std::filesystem::path& path, size_t max_bytes = kMaxTextBytes);

/// Replaces `path` by `text`, all or nothing (atomic_file.h). Throws Error.
void write_text_file(const std::filesystem::path& path, std::string_view text);

}  // namespace ft
