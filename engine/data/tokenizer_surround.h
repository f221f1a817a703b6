// What stands around a text besides its own tokens: the `post_processor` of a tokenizer.json.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ft {

/// The ids that a post-processor puts around one sequence.
struct Surround {
  std::vector<int32_t> prefix, suffix;
};

/// Reads a `post_processor` node, null being none. Throws InputError, opened by `source`, for a type that is
/// not known or broken.
Surround surround_from_json(const nlohmann::json& node, const std::string& source, int depth = 0);

}  // namespace ft
