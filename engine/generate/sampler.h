// One token from a row of logits: Hugging Face's processors in Hugging Face's order, then the choice.
//
//   repetition_penalty → temperature → top_k → top_p → min_p → draw        (do_sample)
//   repetition_penalty → likeliest token, lowest id among equals           (greedy)
//
// Arithmetic is float32 where it decides what is kept, as in PyTorch. Random numbers are counter-based, keyed
// by (seed, row, position): a row's text does not depend on its neighbours, on batching or on threads. O(V),
// plus a sort of what top_k left where top_p is on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/generate/options.h"

namespace ft {

struct Candidate {
  int32_t id;
  float score;
};

/// The tokens that may come next and their scores, by ascending id. `logits` [V]; `ids`: prompt and new
/// tokens so far (what the penalty looks at). Throws ft::Error where a logit is NaN or +∞, or none is finite.
std::vector<Candidate> process_scores(std::span<const float> logits, std::span<const int32_t> ids,
                                      const GenerationOptions& options);

/// Softmax of the scores, in double; [candidates].
std::vector<double> probabilities(std::span<const Candidate> candidates);

/// The token for place ids.size() of the text of row `row`.
int32_t next_token(std::span<const float> logits, std::span<const int32_t> ids,
                   const GenerationOptions& options, uint64_t row);

}  // namespace ft
