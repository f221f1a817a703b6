// Activations × lengths: one row a case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/ops/activation.h"

namespace ft::test {

struct ActivationCase {
  std::string name;
  Activation kind{};
  int64_t count = 0;
  double scale = 1;  // of the inputs
};

inline const std::vector<ActivationCase>& activation_cases() {
  static const std::vector<ActivationCase> cases = [] {
    const std::pair<const char*, Activation> kinds[] = {{"gelu", Activation::gelu},
                                                        {"gelu_tanh", Activation::gelu_tanh},
                                                        {"silu", Activation::silu},
                                                        {"relu", Activation::relu},
                                                        {"tanh", Activation::tanh}};
    std::vector<ActivationCase> all;
    for (const auto& [name, kind] : kinds) {
      const std::string n = name;
      all.push_back({n + "_one", kind, 1, 1});
      all.push_back({n + "_odd", kind, 131, 1});
      all.push_back({n + "_wide", kind, 4099, 5});
      all.push_back({n + "_many", kind, 20000, 1.5});
    }
    return all;
  }();
  return cases;
}

}  // namespace ft::test
