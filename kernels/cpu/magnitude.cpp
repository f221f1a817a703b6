// DoRA's factors: elementwise, each result rounded step by step.
#include "engine/ops/magnitude.h"

#include <cmath>

#include "kernels/cpu/blocks.h"

namespace ft {
namespace {

template <class T>
void magnitude_impl(CpuStream& stream, const MagnitudeArgs<T>& a) {
  parallel_blocks(stream, a.count, kTaskElements, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T norm = std::sqrt(std::max(T{0}, a.squares[i] + a.scale * a.cross[i]));
      a.inverse[i] = norm > 0 ? 1 / norm : T{0};
      a.factor[i] = a.magnitude[i] * a.inverse[i] - a.shift;
    }
  });
}

}  // namespace

void magnitude(CpuStream& s, const MagnitudeArgs<float>& a) {
  magnitude_impl(s, a);
}
void magnitude(CpuStream& s, const MagnitudeArgs<double>& a) {
  magnitude_impl(s, a);
}

}  // namespace ft
