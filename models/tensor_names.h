// Which tensor of a file fills which slot, and how its rows must be rearranged on the way in.
#pragma once

#include <string>
#include <vector>

#include "engine/io/weights.h"
#include "models/decoder.h"
#include "models/family.h"

namespace ft {

struct TensorUse {
  Slot* slot = nullptr;
  const TensorInfo* tensor = nullptr;
  bool transposed = false;      // the file has [in, out]
  int64_t permuted_heads = 0;   // > 0: rows of that many heads are interleaved pairs (GGUF llama's q and k)
  int64_t regrouped_heads = 0;  // > 0: all q, all k, all v of a q|k|v by head (GGUF bloom)
};

/// Pairs up slots and tensors. Throws ft::InputError that lists what is missing, left over or of another
/// shape.
std::vector<TensorUse> match_tensors(Decoder& model, const WeightSource& source, const Family& family,
                                     bool gguf);

}  // namespace ft
