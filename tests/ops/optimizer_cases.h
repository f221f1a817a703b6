// Settings of the optimizers: one row a case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

struct AdamWCase {
  std::string name;
  int64_t count = 0;
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, grad_scale = 1;
};
inline const std::vector<AdamWCase>& adamw_cases() {
  static const std::vector<AdamWCase> cases = {{"one", 1},
                                               {"defaults", 1037},
                                               {"decay_and_clip", 1000, 3e-4, 0.9, 0.95, 1e-8, 0.1, 0.37},
                                               {"mostly_new_m", 100, 1e-2, 0.3, 0.99, 1e-6, 0.01, 1},
                                               {"no_memory", 100, 1e-2, 0, 0.5, 1e-8, 0, 1},
                                               {"many", 20000, 1e-3, 0.9, 0.999, 1e-8, 0.01, 1}};
  return cases;
}

struct SgdCase {
  std::string name;
  int64_t count = 0;
  double lr = 0.1, momentum = 0, weight_decay = 0, grad_scale = 1;
};
inline const std::vector<SgdCase>& sgd_cases() {
  static const std::vector<SgdCase> cases = {
      {"plain", 517}, {"momentum", 517, 0.05, 0.9, 0, 1}, {"all", 20000, 0.05, 0.9, 0.01, 0.5}};
  return cases;
}

}  // namespace ft::test
