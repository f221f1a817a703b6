// Angles of the rotary embedding for the tokens of a pass: cos and sin [tokens, head_dim / 2].
// Scaling rules as Hugging Face defines them (modeling_rope_utils): linear divides all frequencies; dynamic
// raises the base with a row's own length once it passes the trained one; llama3 divides the low frequencies
// and blends the middle ones. Angles are formed in float32, as models were trained with them.
#pragma once

#include <utility>
#include <vector>

#include "engine/autograd/tape.h"
#include "models/decoder_config.h"

namespace ft {

class RopeTable {
 public:
  RopeTable() = default;
  RopeTable(RopeConfig config, int64_t head_dim);
  /// {cos, sin} for the tokens of a pass, by their positions, in its parameters' type. On a device they are
  /// gathered from a table that is made there once, for the positions below `positions` at least, so that a
  /// recorded pass can be run with others.
  std::pair<Tensor, Tensor> angles(Tape& tape, int64_t positions);

 private:
  std::vector<float> frequencies(int64_t length) const;
  std::pair<Tensor, Tensor> on_host(const Layout& layout, DType type) const;
  RopeConfig config_;
  int64_t head_dim_ = 0;
  std::vector<float> base_frequencies_;
  Tensor cos_, sin_;  // [positions, head_dim / 2] on the device
};

}  // namespace ft
