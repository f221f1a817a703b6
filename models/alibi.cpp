#include "models/alibi.h"

#include <bit>
#include <cmath>

namespace ft {

Tensor alibi_slopes(int64_t heads, DType type, Device device) {
  const auto n = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  const auto base = [](int64_t row) {
    return static_cast<float>(std::exp2(-8.0 / static_cast<double>(row)));
  };
  const Tensor slopes = Tensor::empty({heads}, type, MemoryClass::workspace, Device());
  dispatch_compute(ComputeTypes<float, double>(), type, [&]<class T>() {
    for (int64_t h = 0; h < heads; ++h) {
      const auto power = static_cast<float>(h < n ? h + 1 : 2 * (h - n) + 1);
      slopes.data<T>()[h] = std::pow(base(h < n ? n : 2 * n), power);
    }
  });
  return slopes.to(device);
}

}  // namespace ft
