// Shapes and options of the norms: one row a case, for test, gradient check, benchmark and the other
// backends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ft::test {

struct NormCase {
  std::string name;
  std::vector<int32_t> lengths;  // of the samples, in tokens
  int64_t rows_per_token = 1;
  int64_t cols = 0;
  bool center = false, bias = false, residual = false;
  double weight_offset = 0, eps = 1e-5;
  double shift = 0;  // mean of the input: makes the cancellation in a variance visible
};

inline const std::vector<NormCase>& norm_cases() {
  static const std::vector<NormCase> cases = {
      {"rms_one_column", {1, 2}, 1, 1, false, false, false, 0, 1e-5},
      {"rms_odd_columns", {3, 0, 5}, 1, 37, false, false, false, 0, 1e-6},
      {"rms_residual", {4, 3}, 1, 64, false, false, true, 0, 1e-5},
      {"rms_gemma_offset", {2, 5}, 1, 72, false, false, true, 1, 1e-6},
      {"rms_per_head", {3, 4}, 4, 24, false, false, false, 0, 1e-6},
      {"rms_model_width", {9, 23}, 1, 576, false, false, true, 0, 1e-5},
      {"layer_bias", {3, 0, 4}, 1, 48, true, true, false, 0, 1e-5},
      {"layer_residual_odd", {5, 2}, 1, 83, true, true, true, 0, 1e-5},
      {"layer_no_bias", {6}, 1, 16, true, false, false, 0, 1e-12},
      {"layer_large_mean", {4}, 1, 768, true, true, false, 0, 1e-5, 40},
  };
  return cases;
}

}  // namespace ft::test
