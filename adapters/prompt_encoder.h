// What makes virtual tokens out of their numbers, module by module as PEFT (0.21) has it, so that both read
// each other's: an embedding of the numbers, and behind it
//   mlp         mlp_head: Linear, ReLU, Linear, ReLU, Linear           PromptEncoder (Liu et al. 2021)
//   lstm        lstm_head: bidirectional LSTM; mlp_head: Linear, ReLU, Linear    the same, by LSTM
//   projection  transform: Linear, Tanh, Linear                        PrefixEncoder (Li and Liang 2021)
// It trains more than it stores: what it makes is stored as `prompt_embeddings`, its own parameters stand in
// prompt_encoder.safetensors. It runs once a step; its dropout (between LSTM layers) is drawn once a step.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "engine/config/convert.h"
#include "engine/nn/adapter.h"

namespace ft {

enum class Reparameterization { mlp, lstm };
constexpr std::array<EnumName<Reparameterization>, 2> enum_names(Reparameterization) {
  return {{{Reparameterization::mlp, "MLP"}, {Reparameterization::lstm, "LSTM"}}};
}

class PromptEncoder {
 public:
  enum class Kind { mlp, lstm, projection };
  struct Sizes {
    int64_t rows = 0, in = 0, hidden = 0, out = 0;
    int64_t layers = 1;     // of the LSTM
    double dropout = 0;     // behind each of its layers but the last
    bool zero_out = false;  // the last layer starts at zero
  };

  /// `name` tells the parameters of two methods apart.
  PromptEncoder(Kind kind, const Sizes& sizes, const std::string& name, const AttachOptions& options);

  /// [rows, out]; the pass's layout has one sample of that many rows.
  Var operator()(Forward& f);
  const std::vector<AdapterTensor>& tensors() const { return tensors_; }

 private:
  Var linear_at(Forward& f, const std::string& module, const Var& x);
  Parameter* at(const std::string& name) const;

  Kind kind_;
  Sizes sizes_;
  std::string name_;
  uint32_t dropout_site_;
  std::deque<Parameter> parameters_;
  std::vector<AdapterTensor> tensors_;
};

}  // namespace ft
