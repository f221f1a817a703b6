// The step over all tensors, one after the other: each tensor's own op splits it among the threads.
#include "engine/ops/optimizer_step.h"

#include <cstring>

#include "engine/ops/optimizer.h"
#include "kernels/cpu/blocks.h"

namespace ft {
namespace {

template <class T>
void squares(CpuStream& s, const SquareGradientsArgs<T>& a) {
  double* out = a.out;
  for (const TrainedTensor<T>& t : a.tensors.host)
    sum_squares(s, SumSquaresArgs<T>{.count = t.count, .x = t.grad, .out = out++});
}

template <class T>
void adamw_all(CpuStream& s, const AdamWStepArgs<T>& a) {
  for (const TrainedTensor<T>& t : a.tensors.host)
    adamw(s, AdamWArgs<T>{.count = t.count,
                          .w = t.w,
                          .grad = t.grad,
                          .m = t.first,
                          .v = t.second,
                          .lr = t.rate * a.lr,
                          .beta1 = a.beta1,
                          .beta2 = a.beta2,
                          .eps = a.eps,
                          .weight_decay = t.weight_decay,
                          .grad_scale = a.grad_scale,
                          .t = a.t});
}

template <class T>
void sgd_all(CpuStream& s, const SgdStepArgs<T>& a) {
  for (const TrainedTensor<T>& t : a.tensors.host)
    sgd(s, SgdArgs<T>{.count = t.count,
                      .w = t.w,
                      .grad = t.grad,
                      .buf = t.first,
                      .lr = t.rate * a.lr,
                      .momentum = a.momentum,
                      .weight_decay = t.weight_decay,
                      .grad_scale = a.grad_scale,
                      .t = a.t});
}

template <class T>
void clear_all(CpuStream& s, const ClearGradientsArgs<T>& a) {
  for (const TrainedTensor<T>& t : a.tensors.host)
    parallel_blocks(s, t.count, kTaskElements, [&](int64_t begin, int64_t end) {
      std::memset(t.grad + begin, 0, static_cast<size_t>(end - begin) * sizeof(T));
    });
}

}  // namespace

void square_gradients(CpuStream& s, const SquareGradientsArgs<float>& a) {
  squares(s, a);
}
void square_gradients(CpuStream& s, const SquareGradientsArgs<double>& a) {
  squares(s, a);
}
void adamw_step(CpuStream& s, const AdamWStepArgs<float>& a) {
  adamw_all(s, a);
}
void adamw_step(CpuStream& s, const AdamWStepArgs<double>& a) {
  adamw_all(s, a);
}
void sgd_step(CpuStream& s, const SgdStepArgs<float>& a) {
  sgd_all(s, a);
}
void sgd_step(CpuStream& s, const SgdStepArgs<double>& a) {
  sgd_all(s, a);
}
void clear_gradients(CpuStream& s, const ClearGradientsArgs<float>& a) {
  clear_all(s, a);
}
void clear_gradients(CpuStream& s, const ClearGradientsArgs<double>& a) {
  clear_all(s, a);
}

}  // namespace ft
