// The one decoder: pre-norm transformer blocks over ragged samples. A family is a DecoderConfig; what differs
// between families is data here (which norm, which positions, fused or separate q|k|v, gated or not), so
// there is one forward to read, one to keep correct.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/nn/model.h"
#include "engine/ops/attention.h"
#include "engine/ops/norm.h"
#include "engine/ops/rows.h"
#include "models/decoder_config.h"
#include "models/rope_table.h"

namespace ft {

class Decoder : public Model {
 public:
  /// Makes every parameter, uninitialised: matrices stored as `storage`, vectors in `compute`.
  Decoder(DecoderConfig config, DType storage, DType compute);

  const DecoderConfig& config() const { return config_; }
  nlohmann::ordered_json config_json() const override { return config_.json; }
  Var hidden(Forward& f, const Ids& ids) override;
  const Linear& head() const override { return head_; }
  KvCache make_cache(int64_t rows, int64_t capacity, DType compute) const override;
  const Parameter& embeddings() const override { return *embed_.parameter; }
  std::vector<Linear*> linears() override;
  std::vector<Slot*> slots() override;

 private:
  struct Norm {
    Slot weight, bias;
  };
  struct Layer {
    Norm attn_norm, mlp_norm, q_norm, k_norm;
    Linear q, k, v, qkv, o, gate, up, down;
  };
  // What all layers of a pass read.
  struct Shared {
    Tensor cos, sin;     // RoPE
    Tensor slopes;       // ALiBi, [heads]
    PieceOrder regroup;  // of a q|k|v by head: where its pieces lie in all q, all k, all v
  };

  Shared shared(Forward& f);
  const PieceOrder& piece_order(Tape& tape);
  Var layer(Forward& f, int index, const Var& h, const Shared& shared);
  Var attend(Forward& f, int index, const Var& x, const Shared& shared);
  Var attend_cached(Forward& f, int index, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                    const AttentionOptions& options);
  Var feed_forward(Forward& f, Layer& l, const Var& x);
  Var drop(Forward& f, const Var& x, double p, uint32_t place) const;
  NormOptions norm_options() const;
  bool trainable(const Forward& f, int index) const;

  DecoderConfig config_;
  Slot embed_, positions_;
  std::vector<std::unique_ptr<Layer>> layers_;
  Norm embed_norm_, final_norm_;
  Linear head_;
  RopeTable rope_;
  Tensor slopes_;                                      // ALiBi
  std::vector<std::pair<PieceOrder, Tensor>> orders_;  // see piece_order(); the tensor is the device's copy
};

}  // namespace ft
