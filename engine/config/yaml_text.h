// What is checked of a YAML text before it is parsed; internal to the folder.
#pragma once

#include <string_view>

#include "engine/config/node.h"

namespace ft {

/// Throws InputError "SOURCE:LINE: message"; `line` 0: without the line.
[[noreturn]] void yaml_fault(const Source& source, int line, std::string_view message);

/// Throws InputError unless the text is UTF-8 without control characters other than tabs and line ends: YAML
/// allows no others, and yaml-cpp stops reading at some of them without a word.
void check_yaml_characters(std::string_view text, const Source& source, bool with_lines);

}  // namespace ft
