// What is done to a text before it is cut: the `normalizer` of a tokenizer.json.
//
// A normaliser is a list of steps, each from well-formed UTF-8 to well-formed UTF-8; most leave most texts as
// they are and then cost one look at it. No step makes a text grow without bound.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ft {

class Normalizer {
 public:
  /// Reads a `normalizer` node, null being no step. Throws InputError, opened by `source`, for a type that is
  /// not known or broken.
  static Normalizer from_json(const nlohmann::json& node, const std::string& source);

  /// The normal form of well-formed UTF-8 `text`: a view of `text` itself where nothing changes, else of
  /// `buffer`. Throws InputError where it would be many times longer than the text.
  std::string_view apply(std::string_view text, std::string& buffer) const;

 private:
  /// Appends to `out` and returns true, or returns false where the text stays as it is.
  using Step = std::function<bool(std::string_view text, std::string& out)>;
  void append_steps(const nlohmann::json& node, const std::string& source, int depth);
  void append_bert(const nlohmann::json& node, const std::string& source);

  std::vector<Step> steps_;
  std::string source_;
};

}  // namespace ft
