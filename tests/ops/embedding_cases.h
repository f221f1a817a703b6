// Tables and ids of embedding lookups: one row a case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/dtype.h"

namespace ft::test {

struct EmbeddingCase {
  std::string name;
  int64_t tokens = 0, rows = 0, cols = 0;
  DType storage = DType::f32;
  double scale = 1;
};

inline const std::vector<EmbeddingCase>& embedding_cases() {
  static const std::vector<EmbeddingCase> cases = {
      {"one", 1, 1, 1, DType::f32, 1},          {"odd", 19, 37, 13, DType::f32, 1},
      {"scaled", 30, 101, 72, DType::f32, 8.5}, {"bfloat16", 30, 96, 65, DType::bf16, 1},
      {"float16", 30, 96, 65, DType::f16, 2},   {"float64", 11, 20, 33, DType::f64, 1},
      {"wide", 200, 50, 576, DType::bf16, 1}};
  return cases;
}

}  // namespace ft::test
