// Python's operations on strings, over UTF-8: what counts is code points.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ft::jinja {

std::u32string code_points(std::string_view text);
std::string from_code_points(std::u32string_view points);

/// Python's str.isspace of one character.
bool is_python_space(char32_t c);
/// Without the characters of `chars` (white space where it is not given) at either end.
std::string_view strip(std::string_view text, const std::optional<std::string>& chars, bool left, bool right);
/// str.split and rsplit: at `separator`, or at white space; at most `most` cuts where that is not negative.
std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator,
                               int64_t most, bool from_right);
std::vector<std::string> split_lines(std::string_view text, bool keep_ends);
/// Every `from`, or the first `most` of them where that is not negative; empty `from` stands between
/// characters. `limit` bounds the result's bytes; more gives nothing.
std::optional<std::string> replace(std::string_view text, std::string_view from, std::string_view to,
                                   int64_t most, size_t limit);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
/// str.title: a letter behind what is no letter is upper case, every other lower case.
std::string title(std::string_view text);

}  // namespace ft::jinja
