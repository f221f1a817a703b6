// Where an adapter may attach. Models call these sites and know nothing of adapters; adapters hang themselves
// into the sites and know nothing of models.
//
//   slot    a named parameter: train it (BitFit, norm tuning, full fine-tuning), or put a trained copy in its
//           place
//   Linear  before (IA3 on inputs), low-rank terms (LoRA), after (IA3 on outputs; W is readable, for DoRA)
//   block   a sublayer's output before it is added to the residual stream (bottleneck adapters)
//
// Virtual tokens (prompts, prefixes) come with the pass: engine/nn/virtual_tokens.h.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/nn/forward.h"
#include "engine/ops/linear.h"

namespace ft {

/// A place for a parameter. Two slots may hold one parameter: a tied head and embedding.
struct Slot {
  std::string name;  // Hugging Face's, e.g. "model.embed_tokens.weight"
  Parameter* parameter = nullptr;
  explicit operator bool() const { return parameter != nullptr; }
};

class Linear;

class LinearAdapter {
 public:
  virtual ~LinearAdapter() = default;
  virtual Var before(Forward&, const Linear&, const Var& x) { return x; }
  virtual void low_rank(Forward&, const Linear&, std::vector<LowRankTerm>&) {}
  virtual Var after(Forward&, const Linear&, const Var& /*x*/, const Var& y) { return y; }
  bool enabled = true;  // an adapter that is switched off leaves no trace
};

enum class Sublayer { attention, feed_forward };

class BlockAdapter {
 public:
  virtual ~BlockAdapter() = default;
  /// `x` [tokens, hidden]: what the sublayer is about to add to `residual` [tokens, hidden]. Called for
  /// every sublayer of every layer; x itself where the adapter has no part.
  virtual Var block(Forward&, int layer, Sublayer, const Var& x, const Var& residual) = 0;
  /// Is anything trained here? (Recompute asks.)
  virtual bool acts_on(int layer) const = 0;
  bool enabled = true;
};

/// A named part of a fused projection's outputs: "q" of GPT-2's c_attn. Output n belongs to it when n modulo
/// `period` lies in [begin, end); the period is all outputs, or one head's where heads are interleaved.
struct OutputPart {
  std::string name;
  int64_t begin = 0, end = 0, period = 0;
  bool holds(int64_t n) const { return n % period >= begin && n % period < end; }
};

/// A linear layer by its module name, e.g. "model.layers.0.self_attn.q_proj".
class Linear {
 public:
  std::string name;
  int layer = -1;                      // -1: not in a layer (the head)
  bool conv1d = false;                 // Hugging Face stores it as [in, out] (GPT-2)
  bool is_head = false;                // the output embedding
  Slot weight, bias;                   // [out, in] packed; [out] or empty
  std::vector<OutputPart> parts = {};  // of a fused projection
  std::vector<LinearAdapter*> adapters;

  int64_t in() const { return weight.parameter->shape[1]; }
  int64_t out() const { return weight.parameter->shape[0]; }

  /// Weight, bias and the low-rank terms of this pass, each for the tokens of its adapter.
  LinearWeights weights(Forward& f) const;
  Var operator()(Forward& f, Var x) const;
};

/// What the adapters make of a sublayer's output.
Var adapt_block(Forward& f, std::span<BlockAdapter* const> adapters, int layer, Sublayer sublayer, Var x,
                const Var& residual);

}  // namespace ft
