// Strict reader of one mapping: what is not asked for is an error.
//
//   Fields fields(node, "training");
//   fields.get("learning_rate", section.learning_rate, positive());
//   fields.renamed("lr", "learning_rate");
//   fields.finish();
//
// A section of exp.yaml and PEFT's adapter_config.json are read alike. The object refers to the node, which
// must outlive it. Every key that may stand in the mapping must be asked for before finish(), whatever the
// values of other keys, or finish() takes it for a mistake.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/config/convert.h"

namespace ft {

class Fields {
 public:
  /// `section` is how messages name the mapping ("training", "data.eval"; empty: the top level). A null node
  /// is an empty mapping. Throws InputError if the node is anything else.
  Fields(const ConfigNode& node, std::string section);

  /// Reads `key` into `value` (types: convert.h) and says whether it was there; a missing key leaves the
  /// default. Throws InputError for another type or a number outside `range`; null fits std::optional only.
  template <class T>
  bool get(std::string_view key, T& value, const NumberRange& range = {}) {
    const ConfigNode* found = node(key);
    if (found) read(*found, name(key), value, range);
    return found != nullptr;
  }

  /// The same for an enumeration whose spellings are given on the spot.
  template <class E>
  bool get_enum(std::string_view key, E& value,
                std::initializer_list<std::pair<std::string_view, E>> choices) {
    const ConfigNode* found = node(key);
    if (!found) return false;
    std::vector<std::string> names;
    for (const auto& choice : choices) names.emplace_back(choice.first);
    value = (choices.begin() + read_choice(*found, name(key), names))->second;
    return true;
  }

  /// The raw node of `key`, null pointer if absent: for values of several types.
  const ConfigNode* node(std::string_view key);
  /// True if `key` is there and not null.
  bool has(std::string_view key);
  /// Throws InputError if `key` is absent or null; `what` tells the user what to write. After finish().
  void require(std::string_view key, std::string_view what);

  /// `old_key` is not ours: an error that names the right one.
  void renamed(std::string_view old_key, std::string_view right);
  /// A key that may stand here and is not read.
  void ignore(std::string_view key) { accepted_.emplace_back(key); }
  /// A field of PEFT that is accepted as long as it asks for nothing: absent, null, false, empty, or
  /// `fallback`.
  void accept_null_or_default(std::string_view key, const ConfigNode& fallback = {});

  /// What to say of an unknown key beside its nearest neighbour; empty: nothing special.
  using Hint = std::string(std::string_view key);
  /// Throws InputError for the first key that nobody asked for.
  void finish(Hint* hint = nullptr);
  /// The same for PEFT's files of other versions: unknown keys that are null, false or empty are let through.
  void finish_lenient();

  /// Throws InputError "FILE:LINE: section.key: message", at the key's value or, where absent, at the
  /// mapping.
  [[noreturn]] void fail(std::string_view key, std::string_view message) const;
  /// "section.key".
  std::string name(std::string_view key) const;

 private:
  void finish(Hint* hint, bool lenient);

  const ConfigNode& node_;
  std::string section_;
  std::vector<std::string> known_;     // in the order of asking
  std::vector<std::string> accepted_;  // let through, but not worth suggesting
};

}  // namespace ft
