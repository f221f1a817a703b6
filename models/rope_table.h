// Angles of the rotary embedding for the tokens of a pass: cos and sin [tokens, head_dim / 2].
// Scaling rules as Hugging Face defines them (modeling_rope_utils): linear divides all frequencies; dynamic
// raises the base with a row's own length once it passes the trained one; llama3 divides the low frequencies
// and blends the middle ones. Angles are formed in float32, as models were trained with them.
#pragma once

#include <utility>
#include <vector>

#include "engine/autograd/layout.h"
#include "engine/core/tensor.h"
#include "models/decoder_config.h"

namespace ft {

class RopeTable {
 public:
  RopeTable() = default;
  RopeTable(RopeConfig config, int64_t head_dim);
  /// {cos, sin} for the layout's tokens, by their positions; `type`: float32 or float64.
  std::pair<Tensor, Tensor> angles(const Layout& layout, DType type, Device device) const;

 private:
  std::vector<float> frequencies(int64_t length) const;
  RopeConfig config_;
  int64_t head_dim_ = 0;
  std::vector<float> base_frequencies_;
};

}  // namespace ft
