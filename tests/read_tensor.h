// A tensor of a weight file, as tests compare it.
#pragma once

#include <string>
#include <vector>

#include "engine/core/check.h"
#include "engine/io/weights.h"

namespace ft {

/// Widened to float32. Throws where the file lacks it.
inline std::vector<float> read_tensor(const WeightSource& file, const std::string& name) {
  const TensorInfo* info = file.find(name);
  if (!info) fail("{} has no {}", file.path(), name);
  std::vector<float> values(static_cast<size_t>(element_count(*info)));
  file.read_all(*info, values.data());
  return values;
}

}  // namespace ft
