// Hugging Face's names of activations: a name that is taken for another one trains a wrong model silently.
#include <gtest/gtest.h>

#include <string_view>
#include <utility>

#include "engine/core/check.h"
#include "engine/ops/activation.h"

namespace ft {
namespace {

TEST(ActivationNames, AreThoseOfTransformers) {
  using enum Activation;
  const std::pair<std::string_view, Activation> names[] = {{"gelu", gelu},
                                                           {"gelu_python", gelu},
                                                           {"gelu_new", gelu_tanh},
                                                           {"gelu_fast", gelu_tanh},
                                                           {"gelu_accurate", gelu_tanh},
                                                           {"gelu_pytorch_tanh", gelu_tanh},
                                                           {"gelu_python_tanh", gelu_tanh},
                                                           {"silu", silu},
                                                           {"swish", silu},
                                                           {"relu", relu},
                                                           {"tanh", tanh}};
  for (const auto& [name, kind] : names) EXPECT_EQ(activation_from_name(name), kind) << name;
}

TEST(ActivationNames, AnythingElseIsAnErrorThatListsWhatThereIs) {
  for (const std::string_view name :
       {"", "GELU", "gelu ", "gelu_", "relu2", "quick_gelu", "mish", "sigmoid"}) {
    try {
      activation_from_name(name);
      ADD_FAILURE() << name;
    } catch (const Error& e) {
      const std::string_view what = e.what();
      EXPECT_NE(what.find(fmt::format("'{}'", name)), what.npos) << what;
      for (const char* known : {"gelu_new", "silu", "relu", "tanh"})
        EXPECT_NE(what.find(known), what.npos) << what;
    }
  }
}

}  // namespace
}  // namespace ft
