// Several trained prompts (or prefixes) of one task answer together. Each member reads the same text behind
// its own virtual tokens, all of them in one ragged batch of a pass; what they predict is combined into one
// next token, which all of them read next.
//
//   mean   the members' probabilities, after penalty, temperature and filters, are averaged; the likeliest
//          token is taken, or one is drawn from the average
//   vote   each member chooses its own token (draws it, with do_sample); the one with most votes is taken,
//          among equals the one with the larger mean probability, then the lower id
#pragma once

#include <array>

#include "engine/config/convert.h"
#include "engine/generate/generator.h"

namespace ft {

enum class Combine { vote, mean };
constexpr std::array<EnumName<Combine>, 2> enum_names(Combine) {
  return {{{Combine::vote, "vote"}, {Combine::mean, "mean"}}};
}

/// The next token of members that have read `ids`; `logits`: one row [V] a member. `row` names the random
/// numbers.
int32_t combined_token(std::span<const std::vector<float>> logits, std::span<const int32_t> ids,
                       const GenerationOptions& options, Combine how, uint64_t row);

/// As generate(), with all of `batching.before` as the members of every prompt; prompts go one by one.
std::vector<Generated> generate_ensemble(Model& model, Stream& stream, DType compute,
                                         std::span<const std::vector<int32_t>> prompts,
                                         const GenerationOptions& options, Combine how,
                                         const OnToken& on_token, const Batching& batching);

}  // namespace ft
