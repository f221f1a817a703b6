// What `ftengine inspect` found out: facts in order and a table of tensors, for people or as JSON. Texts in
// it may come from strangers' files; they are made printable on the way out.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/weights.h"

namespace ft {

class Report {
 public:
  /// `text` is what people read; left out: the value itself, numbers with commas.
  void add(std::string_view key, nlohmann::ordered_json value, std::string text = {});
  /// The tensors of a file; a later call adds to the table.
  void add_tensors(const std::vector<TensorInfo>& tensors);
  bool has_tensors() const { return !tensors_.empty(); }

  /// Aligned lines; tensors of equal layers are one line unless `all_tensors`.
  std::string text(bool all_tensors) const;
  /// One object; "tensors" is a list of {name, shape, type}.
  nlohmann::ordered_json json() const;

 private:
  struct Fact {
    std::string key, text;
    nlohmann::ordered_json value;
  };
  std::vector<Fact> facts_;
  std::vector<TensorInfo> tensors_;
};

/// {"F32": elements, …} of all tensors, and the same for people: "BF16 99.9 %, F32 0.1 %".
nlohmann::ordered_json type_counts(const std::vector<TensorInfo>& tensors);
std::string type_mix(const nlohmann::ordered_json& counts);

}  // namespace ft
