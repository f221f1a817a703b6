// The same few prompts through two models: how far apart are their logits? What a merge is judged by.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/core/stream.h"
#include "engine/data/tokenizer.h"
#include "engine/nn/adapter_step.h"

namespace ft {

using Prompts = std::vector<std::vector<int32_t>>;

/// Four short prompts: texts in two languages and code, or ids drawn from the vocabulary where `tokenizer` is
/// null. Ids that the model does not have are left out, and no prompt is longer than its positions.
Prompts probe_prompts(const Tokenizer* tokenizer, const ModelFacts& facts);

/// Logits [tokens of all prompts, V] in float32. Memory: the result, at most 4 · 16 rows.
std::vector<float> probe_logits(Model& model, std::span<Adapter* const> adapters, Stream& stream,
                                const Prompts& prompts);

struct LogitDifference {
  double largest = 0;              // max |a − b|; infinite if one of the two is not finite
  double scale = 0;                // max |a|
  int64_t same_top = 0, rows = 0;  // rows whose likeliest token is the same, and all
};
/// `a` and `b`: as many logits of `vocab` each.
LogitDifference compare_logits(const std::vector<float>& a, const std::vector<float>& b, int64_t vocab);

}  // namespace ft
