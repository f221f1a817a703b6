// Several LoRAs as one, weighted, as PEFT's add_weighted_adapter makes it (0.21; its combination types
// linear, cat and svd). Files in, files out: no base is needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace ft {

enum class Combination {
  linear,  // A = Σ ±√|w s| A_i, B = Σ √|w s| B_i: one rank, cross terms between the adapters
  cat,     // the weighted sum of the changes, exactly; the rank is the sum of the ranks
  svd,     // the nearest to that sum of a given rank
};

struct WeightedAdapter {
  std::filesystem::path folder;  // a LORA in PEFT's format
  double weight = 1;
};

struct CombineOptions {
  Combination type = Combination::linear;
  int64_t svd_rank = 0;  // 0: the largest of the adapters'
};

/// Writes adapter_config.json, adapter_model.safetensors and ftengine.json into `out`, which exists. The
/// result's alpha is its rank, so that its scale is one. Returns the rank. Throws ft::InputError for what is
/// no plain LORA, for adapters of different bases, and for a linear combination of different ranks.
int64_t combine_loras(const std::vector<WeightedAdapter>& adapters, const CombineOptions& options,
                      const std::filesystem::path& out);

}  // namespace ft
