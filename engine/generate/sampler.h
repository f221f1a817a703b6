// One token from a row of logits: Hugging Face's processors in Hugging Face's order, then the choice.
//
//   repetition_penalty → temperature → top_k → top_p → min_p → draw        (do_sample)
//   repetition_penalty → likeliest token, lowest id among equals           (greedy)
//
// Scores are float32, as in PyTorch; what is kept and drawn is decided by whole-number weights
// (engine/ops/sampling.h), whose sums are exact: the CUDA kernel chooses the same token. Random numbers are
// counter-based, keyed by (seed, row, position): a row's text does not depend on its neighbours, on batching
// or on threads. O(V), plus a sort of what top_k left where top_p is on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/generate/options.h"
#include "engine/ops/sampling.h"

namespace ft {

struct Candidate {
  int32_t id;
  float score;
};

/// The tokens that may come next and their scores, by ascending id. `logits` [V]; `ids`: prompt and new
/// tokens so far (what the penalty looks at). Throws ft::Error where a logit is NaN or +∞, or none is finite.
std::vector<Candidate> process_scores(std::span<const float> logits, std::span<const int32_t> ids,
                                      const GenerationOptions& options);

/// Softmax of the scores; [candidates].
std::vector<double> probabilities(std::span<const Candidate> candidates);

/// The token for place ids.size() of the text of row `row`.
int32_t next_token(std::span<const float> logits, std::span<const int32_t> ids,
                   const GenerationOptions& options, uint64_t row);

/// The same choice for a device's kernel, and the key of a row's random numbers there.
SamplingRule sampling_rule(const GenerationOptions& options);
uint64_t random_key(uint64_t seed, uint64_t row);

}  // namespace ft
