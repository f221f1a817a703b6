// "Did you mean …?": the known name that a mistyped one was probably meant to be.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ft {

/// The candidate nearest to `name` by edits (insert, delete, replace, swap neighbours; case and -/_ are
/// equal), or one that `name` begins with or is the beginning of. Nothing where all are far: more than a
/// third of `name`. Of equals the first. Cost: candidates × their length × the length of `name`, names above
/// 64 bytes excepted.
std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates);

}  // namespace ft
