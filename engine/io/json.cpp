#include "engine/io/json.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "engine/core/check.h"
#include "engine/io/printable.h"

namespace ft {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Walks over text and leaves its position where the builder below can see it: the parser tells a handler
/// what it read, not where.
class TrackedIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackedIterator() = default;
  TrackedIterator(const char* at, const char** position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  TrackedIterator& operator++() {
    *position_ = ++at_;
    return *this;
  }
  TrackedIterator operator++(int) {
    TrackedIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const TrackedIterator& other) const { return at_ == other.at_; }
  bool operator!=(const TrackedIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_ = nullptr;
  const char** position_ = nullptr;
};

/// Builds the value from the parser's events and stops at the first thing we refuse. `open_` is the path of
/// unfinished containers; they do not move while they are on it, since only the innermost one grows.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(const char* const* position) : position_(position) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return stop("binary values are not JSON"); }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    const auto [slot, inserted] = open_.back()->emplace(name, nullptr);
    if (!inserted) return stop(fmt::format("the key \"{}\" appears twice in one object", printable(name)));
    slot_ = &*slot;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    // The library's text is "[json.exception.…] parse error at line 1, column 2: what is wrong", or the same
    // without the place. It counts lines of this text, not of the file.
    std::string_view what = error.what();
    if (const size_t at = what.find("] "); at != what.npos) what.remove_prefix(at + 2);
    if (what.starts_with("parse error at "))
      what.remove_prefix(std::min(what.find(": "), what.size() - 2) + 2);
    return stop(fmt::format("not valid JSON: {}", printable(what, 200)));
  }

  Json take() { return std::move(root_); }
  const std::string& error() const { return error_; }
  const char* error_position() const { return error_position_; }

 private:
  Json* place(Json&& value) {
    if (open_.empty()) return &(root_ = std::move(value));
    if (open_.back()->is_object()) return &(*slot_ = std::move(value));
    return &open_.back()->emplace_back(std::move(value));
  }
  bool add(Json&& value) {
    place(std::move(value));
    return true;
  }
  bool open(Json&& container) {
    if (open_.size() >= kMaxJsonDepth)
      return stop(fmt::format("nested deeper than {} levels", kMaxJsonDepth));
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  bool stop(std::string what) {
    error_ = std::move(what);
    error_position_ = *position_;
    return false;
  }

  Json root_;
  std::vector<Json*> open_;
  Json* slot_ = nullptr;
  const char* const* position_;
  std::string error_;
  const char* error_position_ = nullptr;
};

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == line.npos;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view name, int64_t first_line) {
  const char* position = text.data();
  Builder builder(&position);
  const bool ok = Json::sax_parse(TrackedIterator(text.data(), &position),
                                  TrackedIterator(text.data() + text.size(), &position), &builder);
  if (ok) return builder.take();
  // The parser has read one character past a number: a line break there does not count.
  const char* end = std::max(text.data(), builder.error_position() - (text.empty() ? 0 : 1));
  const int64_t line = first_line + std::count(text.data(), end, '\n');
  bad_input("{}:{}: {}", name, line, builder.error());
}

Json read_json_file(const std::filesystem::path& path, size_t max_bytes) {
  return parse_json(read_text_file(path, max_bytes), path.string());
}

std::optional<int64_t> whole_number(const Json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) return std::nullopt;
  const auto number = value.get<int64_t>();
  return number < 0 ? std::nullopt : std::optional(number);
}

bool JsonlReader::next(Json& value) {
  constexpr size_t kReleaseStep = 16 << 20;
  const std::string_view text = file_.text();
  if (offset_ == 0 && text.starts_with(kByteOrderMark)) offset_ = kByteOrderMark.size();
  while (offset_ < text.size()) {
    if (offset_ - released_ >= kReleaseStep) {
      file_.release(released_, offset_ - released_);
      released_ = offset_;
    }
    const std::string_view line = text.substr(offset_, text.find('\n', offset_) - offset_);
    offset_ = std::min(offset_ + line.size() + 1, text.size());
    ++line_;
    if (is_blank(line)) continue;
    text_ = line;
    if (line.size() > kMaxTextBytes)
      bad_input("{}: the line is longer than {} bytes", where(), kMaxTextBytes);
    value = parse_json(line, file_.path().string(), line_);
    return true;
  }
  return false;
}

std::string JsonlReader::where() const {
  return fmt::format("{}:{}", file_.path().string(), line_);
}

}  // namespace ft
