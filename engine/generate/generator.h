// Prompts in, new ids out: prefill and decoding over a cache of keys and values.
//
// Every pass is ragged: it carries, for each row that is alive, the tokens that the model has not seen yet: a
// piece of a prompt, or the one new token. Rows that end make room for the next prompts. So there is no
// padding, no wait for the slowest row, a bounded number of tokens a pass, and only rows at the end of their
// text reach the head. Kernels give a row the same bits whatever stands beside it (decisions.md), and so the
// same ids. Memory: the cache (2 · layers · rows · length · kv width), which grows with the longest row, one
// pass of activations, and logits of the rows alive.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/stream.h"
#include "engine/generate/options.h"
#include "engine/nn/model.h"

namespace ft {

enum class StopReason {
  end_token,      // one of stop_ids
  length,         // max_new_tokens or max_length
  max_positions,  // the model has no further position
  stopped,        // the caller said so
};
std::string_view describe(StopReason reason);

struct Generated {
  std::vector<int32_t> ids;  // the new ones; an end token is the last
  StopReason reason = StopReason::length;
};

/// Called with each new id in the order of a row's text, on the calling thread. False: this row ends here.
using OnToken = std::function<bool(size_t row, int32_t id)>;

enum class Combine;  // ensemble.h

struct Batching {
  int64_t rows = 16;       // alive at once
  int64_t tokens = 512;    // a pass
  uint64_t first_row = 0;  // number of prompts[0] in a larger set: what names its random numbers
  /// Virtual tokens before the prompts: one entry for all of them, or one each (null: none); empty: none.
  std::vector<const VirtualTokens*> before = {};
  /// The adapters of each prompt, a number of `sets` (−1: the base answers); empty: every adapter acts on
  /// all.
  std::vector<int32_t> set_of = {};
  std::span<const AdapterSet> sets = {};
  /// All of `before` answer every prompt together: see ensemble.h.
  std::optional<Combine> ensemble = {};
};

/// Throws ft::InputError "WHERE: …" for a prompt that is empty, has ids outside the vocabulary, or leaves no
/// room for a new token.
void check_prompt(std::span<const int32_t> prompt, const GenerationOptions& options, const ModelFacts& facts,
                  const std::string& where);

/// How many new tokens a prompt may get and what ends it then. Throws as check_prompt does, and where virtual
/// tokens leave no room.
std::pair<int64_t, StopReason> token_budget(std::span<const int32_t> prompt, int64_t virtual_rows,
                                            const GenerationOptions& options, const ModelFacts& facts,
                                            const std::string& where);

/// One result a prompt. Throws ft::InputError as check_prompt does.
std::vector<Generated> generate(Model& model, Stream& stream, DType compute,
                                std::span<const std::vector<int32_t>> prompts,
                                const GenerationOptions& options, const OnToken& on_token = {},
                                const Batching& batching = {});

}  // namespace ft
