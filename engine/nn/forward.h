// What one pass through a model carries along: the tape, what dropout needs, the cache of a generation.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/nn/virtual_tokens.h"

namespace ft {

using Ids = std::shared_ptr<const std::vector<int32_t>>;

/// Keys and values of every layer for a few rows of generation, each with room for `capacity` tokens.
struct KvCache {
  int64_t rows = 0, capacity = 0;
  std::vector<Tensor> k, v;                       // [layer]: [rows · capacity, kv_heads · D]
  std::vector<int32_t> length;                    // [rows]: tokens so far, virtual ones counted in
  std::vector<const VirtualTokens*> before = {};  // [rows]: what the row begins with, or null
};

/// Where a pass finds its samples in the cache: sample s's keys are rows [begin[s], end[s]), its new tokens
/// among them; token t's are stored in row to[t].
struct CachePlaces {
  std::vector<int32_t> begin, end, to;
};

class LinearAdapter;
class BlockAdapter;

/// Adapters that act together on the tokens of a TokenGroup.
struct AdapterSet {
  std::vector<const LinearAdapter*> linear = {};
  std::vector<const BlockAdapter*> block = {};
};

/// A generation whose rows have different adapters: on tokens [begin, end) of the pass `set` acts, and nobody
/// else; null: the base answers.
struct TokenGroup {
  int64_t begin = 0, end = 0;
  const AdapterSet* set = nullptr;
};

struct Forward {
  Tape& tape;
  bool training = false;     // dropout is active
  uint64_t dropout_key = 0;  // dropout_key(seed, optimizer step)
  bool recompute = false;    // keep one activation a layer, compute the rest again on the way back
  KvCache* cache = nullptr;  // generation: sample s of the pass is cache row cache_rows[s]
  std::vector<int32_t> cache_rows = {};
  const VirtualTokens* before = nullptr;  // without a cache: what every sample sees before its own tokens
  Var prompt = {};  // [P, hidden]: the leading rows of the samples that have some (Layout)
  std::vector<KvRows>* collect = nullptr;  // each layer's keys and values are put here
  /// Instead of cache_rows: the caller keeps the cache's lengths and says where everything is.
  const CachePlaces* places = nullptr;
  std::vector<TokenGroup> groups = {};  // of all tokens; empty: every adapter acts on all of them
};

}  // namespace ft
