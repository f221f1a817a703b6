// A regular expression over the name of a module, as Python's re.fullmatch takes it (PCRE2's syntax is its
// superset for what such patterns use). Configurations come from strangers: what a match may cost is bounded.
#pragma once

#include <memory>
#include <string>

namespace ft {

class NamePattern {
 public:
  /// Throws ft::InputError for what is no regular expression; `where` names the file or the key.
  NamePattern(const std::string& pattern, const std::string& where);
  /// Does the whole of `name` match? Throws ft::InputError where that takes too many steps.
  bool matches(const std::string& name) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace ft
