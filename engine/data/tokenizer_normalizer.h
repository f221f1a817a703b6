// Unicode normal forms before anything is cut (utf8proc).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ft {

class Normalizer {
 public:
  /// Reads a `normalizer` node: NFC, NFD, NFKC, NFKD, or a Sequence of them; null changes nothing. Throws
  /// InputError, opened by `source`, for anything else.
  static Normalizer from_json(const nlohmann::json& node, const std::string& source);

  /// The normal form of well-formed UTF-8 `text`: a view of `text` itself where nothing changes, else of
  /// `buffer`.
  std::string_view apply(std::string_view text, std::string& buffer) const;

 private:
  void append_forms(const nlohmann::json& node, const std::string& source, int depth);
  std::vector<int> forms_;  // utf8proc options
};

}  // namespace ft
