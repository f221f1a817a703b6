// YAML in and out.
//
// In: YAML 1.2 with the core types (true/false, 12, 0x1f, 1e-4, .5, .inf, null, ~; anything else and
// everything quoted is text, so `no` is text). Anchors, aliases and merge keys (<<) work; a key given twice,
// a second document, types from other programs (!!python/…) and anything too large or too deep are errors
// with file and line. Out: deterministic, and every value reads back equal, also by readers of YAML 1.1.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "engine/config/node.h"

namespace ft {

/// Largest YAML text that is read, and the most bytes of text that its aliases may grow to, four times that.
constexpr size_t kMaxYamlBytes = size_t{1} << 20;

/// Reads one document; an empty one is null. `with_lines` false: the text is no file (--set), lines mean
/// nothing. Throws InputError.
ConfigNode parse_yaml(std::string_view text, SourcePtr source, bool with_lines = true);

/// Reads the file. Messages name it as given; its relative paths start from its own folder. Throws
/// InputError.
ConfigNode load_yaml(const std::filesystem::path& path);

/// The value that an unquoted scalar stands for.
ConfigNode plain_scalar(std::string_view text);

/// Block style, lists of scalars on one line; ends with a newline. Texts must be UTF-8.
std::string to_yaml(const ConfigNode& node);

}  // namespace ft
