// The fields that PEFT (0.21) gives to both of LyCORIS' methods, LoHa and LoKr.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "adapters/linear_choice.h"

namespace ft {

struct LycorisConfig {
  int64_t r = 8;
  double alpha = 8;
  double rank_dropout = 0, module_dropout = 0;
  LinearChoice choice;
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;

  int64_t rank_of(const Linear& l) const;
  /// alpha / r.
  double scale_of(const Linear& l) const;
};

/// Reads them; `most` is the largest rank.
void read_lycoris_fields(Fields& fields, LycorisConfig& config, int64_t most);
void write_lycoris_fields(const LycorisConfig& config, nlohmann::ordered_json& json);

/// find_linears() less the output head. Training refuses dropout, which draws whole rows of the change.
std::vector<Linear*> find_lycoris_linears(Model& model, LycorisConfig& config, const AttachOptions& options,
                                          std::string_view peft_type);
/// A line where PEFT cannot read what is saved.
std::vector<std::string> lycoris_notes(const LycorisConfig& config, std::string_view peft_type);

}  // namespace ft
