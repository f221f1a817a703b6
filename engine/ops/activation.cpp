// The names of Hugging Face's `hidden_act` (transformers, ACT2FN) that stand for one of our activations.
#include "engine/ops/activation.h"

#include <array>
#include <string>
#include <utility>

#include "engine/core/check.h"

namespace ft {

Activation activation_from_name(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Activation>, 11> names = {{
      {"gelu", Activation::gelu},
      {"gelu_python", Activation::gelu},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_fast", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"gelu_accurate", Activation::gelu_tanh},
      {"gelu_python_tanh", Activation::gelu_tanh},
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"relu", Activation::relu},
      {"tanh", Activation::tanh},
  }};
  for (const auto& [known, kind] : names)
    if (known == name) return kind;
  fail(
      "unknown activation '{}'; known are gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, silu, swish, relu, "
      "tanh",
      name);
}

}  // namespace ft
