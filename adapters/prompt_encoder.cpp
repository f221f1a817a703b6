#include "adapters/prompt_encoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/rng.h"
#include "engine/ops/activation.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/embedding.h"
#include "engine/ops/linear.h"
#include "engine/ops/lstm.h"

namespace ft {
namespace {

// PyTorch's starting values: a linear layer's are U(−1/√in, 1/√in), an LSTM's U(−1/√hidden, 1/√hidden).
float bound_of(int64_t fan_in) {
  return 1 / std::sqrt(static_cast<float>(fan_in));
}

std::string lstm_name(const char* what, int64_t layer, bool backwards) {
  return fmt::format("lstm_head.{}_l{}{}", what, layer, backwards ? "_reverse" : "");
}

}  // namespace

PromptEncoder::PromptEncoder(Kind kind, const Sizes& z, const std::string& name, const AttachOptions& options)
    : kind_(kind),
      sizes_(z),
      name_(name),
      dropout_site_((1u << 16) * static_cast<uint32_t>(1 + options.index)) {
  const auto make = [&](const std::string& module, Shape shape, float bound) {
    parameters_.push_back(Parameter::make(
        name_ + "." + module, shape, shape.rank() == 2 ? Parameter::Layout::packed : Parameter::Layout::plain,
        options.compute, MemoryClass::trainable, options.device));
    Parameter& p = parameters_.back();
    Rng rng(options.seed, p.name);
    std::vector<float> values(static_cast<size_t>(p.numel()));
    const bool normal = module == "embedding.weight";
    for (float& v : values) v = normal ? rng.normal() : bound > 0 ? rng.uniform(-bound, bound) : 0;
    from_plain(p, values);
    p.train(options.compute);
    tensors_.push_back({module, &p});
  };
  const auto linear_layer = [&](const std::string& module, int64_t out, int64_t in, bool zero = false) {
    make(module + ".weight", {out, in}, zero ? 0 : bound_of(in));
    make(module + ".bias", {out}, zero ? 0 : bound_of(in));
  };
  make("embedding.weight", {z.rows, z.in}, 0);
  switch (kind) {
    case Kind::mlp:
      linear_layer("mlp_head.0", z.hidden, z.in);
      linear_layer("mlp_head.2", z.hidden, z.hidden);
      linear_layer("mlp_head.4", z.out, z.hidden, z.zero_out);
      return;
    case Kind::projection:
      linear_layer("transform.0", z.hidden, z.in);
      linear_layer("transform.2", z.out, z.hidden, z.zero_out);
      return;
    case Kind::lstm:
      for (int64_t layer = 0; layer < z.layers; ++layer)
        for (const bool backwards : {false, true}) {
          make(lstm_name("weight_ih", layer, backwards), {4 * z.hidden, layer == 0 ? z.in : 2 * z.hidden},
               bound_of(z.hidden));
          make(lstm_name("weight_hh", layer, backwards), {4 * z.hidden, z.hidden}, bound_of(z.hidden));
          make(lstm_name("bias_ih", layer, backwards), {4 * z.hidden}, bound_of(z.hidden));
          make(lstm_name("bias_hh", layer, backwards), {4 * z.hidden}, bound_of(z.hidden));
        }
      linear_layer("mlp_head.0", 2 * z.hidden, 2 * z.hidden);
      linear_layer("mlp_head.2", z.out, 2 * z.hidden, z.zero_out);
  }
}

Parameter* PromptEncoder::at(const std::string& module) const {
  for (const AdapterTensor& t : tensors_)
    if (t.name == module) return t.parameter;
  fail("[prompt encoder] no parameter {}", module);
}

Var PromptEncoder::linear_at(Forward& f, const std::string& module, const Var& x) {
  return linear(f.tape, x, {at(module + ".weight"), at(module + ".bias"), {}});
}

Var PromptEncoder::operator()(Forward& f) {
  auto numbers = std::make_shared<std::vector<int32_t>>(static_cast<size_t>(sizes_.rows));
  std::iota(numbers->begin(), numbers->end(), 0);
  Var x = embedding(f.tape, *at("embedding.weight"), numbers);
  const auto relu = [&](const Var& v) { return activation(f.tape, Activation::relu, v); };
  switch (kind_) {
    case Kind::mlp:
      x = relu(linear_at(f, "mlp_head.0", x));
      return linear_at(f, "mlp_head.4", relu(linear_at(f, "mlp_head.2", x)));
    case Kind::projection:
      return linear_at(f, "transform.2",
                       activation(f.tape, Activation::tanh, linear_at(f, "transform.0", x)));
    case Kind::lstm:
      break;
  }
  for (int64_t layer = 0; layer < sizes_.layers; ++layer) {
    std::vector<LstmDirection> directions;
    for (const bool backwards : {false, true})
      directions.push_back(
          {at(lstm_name("weight_ih", layer, backwards)), at(lstm_name("weight_hh", layer, backwards)),
           at(lstm_name("bias_ih", layer, backwards)), at(lstm_name("bias_hh", layer, backwards))});
    x = lstm_layer(f.tape, x, directions);
    if (f.training && layer + 1 < sizes_.layers)
      x = dropout(f.tape, x, static_cast<float>(sizes_.dropout), f.dropout_key,
                  dropout_site_ + static_cast<uint32_t>(layer));
  }
  return linear_at(f, "mlp_head.2", relu(linear_at(f, "mlp_head.0", x)));
}

}  // namespace ft
