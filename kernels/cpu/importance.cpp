// AdaLoRA's averages of importance: elementwise, each product and sum rounded by itself.
#include "engine/ops/importance.h"

#include <cmath>

#include "kernels/cpu/blocks.h"

namespace ft {
namespace {

template <class T>
void importance_impl(CpuStream& stream, const ImportanceArgs<T>& a) {
  const T new1 = 1 - a.beta1, new2 = 1 - a.beta2;
  parallel_blocks(stream, a.count, kTaskElements, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T now = std::abs(a.w[i] * (a.grad_scale * a.grad[i]));
      const T average = a.beta1 * a.average[i] + new1 * now;
      a.average[i] = average;
      a.uncertainty[i] = a.beta2 * a.uncertainty[i] + new2 * std::abs(now - average);
    }
  });
}

}  // namespace

void importance(CpuStream& s, const ImportanceArgs<float>& a) {
  importance_impl(s, a);
}
void importance(CpuStream& s, const ImportanceArgs<double>& a) {
  importance_impl(s, a);
}

}  // namespace ft
