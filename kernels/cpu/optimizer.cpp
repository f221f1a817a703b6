// Optimizer updates: one pass over w, grad and state. The scalars of an update are formed in double and
// rounded to T once; each element goes through the operations of torch.optim in their order, with a
// multiply-add fused where PyTorch's CPU kernels fuse it. So SGD gives PyTorch's bits, and AdamW differs by
// its square root alone (PyTorch's is not always the nearest number).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimizer.cpp"
#include "engine/ops/optimizer.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <vector>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ft::HWY_NAMESPACE {

template <class T>
void adamw_impl(CpuStream& stream, const AdamWArgs<T>& args) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto t = static_cast<double>(args.t);
  const double step_size = args.lr / (1 - std::pow(args.beta1, t));
  const double correction = std::sqrt(1 - std::pow(args.beta2, t));
  const T decay_s = static_cast<T>(1 - args.lr * args.weight_decay), beta2_s = static_cast<T>(args.beta2);
  const T new_m_s = static_cast<T>(1 - args.beta1), new_v_s = static_cast<T>(1 - args.beta2);
  const T correction_s = static_cast<T>(correction), eps_s = static_cast<T>(args.eps);
  const T step_s = static_cast<T>(-step_size), grad_s = static_cast<T>(args.grad_scale);
  const bool mostly_new = 1 - args.beta1 >= 0.5;  // torch.lerp's other branch
  parallel_blocks(stream, args.count, kTaskElements / 2, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V decay = hn::Set(d, decay_s), beta2 = hn::Set(d, beta2_s), new_m = hn::Set(d, new_m_s);
    const V new_v = hn::Set(d, new_v_s), correct = hn::Set(d, correction_s), eps = hn::Set(d, eps_s);
    const V step = hn::Set(d, step_s), grad_scale = hn::Set(d, grad_s);
    const V old_m = hn::Set(d, static_cast<T>(T{1} - new_m_s));
    T *w = args.w + begin, *m = args.m + begin, *v = args.v + begin;
    const T* grad = args.grad + begin;
    for_each(d, end - begin, [&](int64_t i, auto part) HWY_ATTR {
      const V g = hn::Mul(grad_scale, load(d, grad + i, part));
      const V m0 = load(d, m + i, part), change = hn::Sub(g, m0);
      const V m1 = mostly_new ? hn::NegMulAdd(change, old_m, g) : hn::MulAdd(new_m, change, m0);
      const V v1 = hn::MulAdd(hn::Mul(new_v, g), g, hn::Mul(load(d, v + i, part), beta2));
      const V denominator = hn::Add(hn::Div(hn::Sqrt(v1), correct), eps);
      const V w0 = hn::Mul(load(d, w + i, part), decay);
      store(d, hn::Add(w0, hn::Div(hn::Mul(step, m1), denominator)), w + i, part);
      store(d, m1, m + i, part);
      store(d, v1, v + i, part);
    });
  });
}

template <class T>
void sgd_impl(CpuStream& stream, const SgdArgs<T>& args) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  parallel_blocks(stream, args.count, kTaskElements / 2, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V decay = hn::Set(d, static_cast<T>(args.weight_decay)),
            momentum = hn::Set(d, static_cast<T>(args.momentum));
    const V step = hn::Set(d, static_cast<T>(-args.lr)),
            grad_scale = hn::Set(d, static_cast<T>(args.grad_scale));
    T *w = args.w + begin, *buf = args.buf ? args.buf + begin : nullptr;
    const T* grad = args.grad + begin;
    for_each(d, end - begin, [&](int64_t i, auto part) HWY_ATTR {
      const V w0 = load(d, w + i, part);
      V g = hn::Mul(grad_scale, load(d, grad + i, part));
      if (args.weight_decay != 0) g = hn::MulAdd(decay, w0, g);
      if (buf) {
        if (args.t > 1) g = hn::Add(hn::Mul(load(d, buf + i, part), momentum), g);
        store(d, g, buf + i, part);
      }
      store(d, hn::MulAdd(step, g, w0), w + i, part);
    });
  });
}

HWY_INLINE hn::Vec<hn::ScalableTag<double>> load_double(hn::ScalableTag<double> d, const double* x,
                                                        auto part) {
  return load(d, x, part);
}
HWY_INLINE hn::Vec<hn::ScalableTag<double>> load_double(hn::ScalableTag<double> d, const float* x,
                                                        auto part) {
  return hn::PromoteTo(d, load(hn::Rebind<float, decltype(d)>(), x, part));
}

template <class T>
void sum_squares_impl(CpuStream& stream, const SumSquaresArgs<T>& args) {
  const hn::ScalableTag<double> d;
  using V = hn::Vec<decltype(d)>;
  std::vector<double> partial(static_cast<size_t>((args.count + kTaskElements - 1) / kTaskElements));
  parallel_blocks(stream, args.count, kTaskElements, [&](int64_t begin, int64_t end) HWY_ATTR {
    const T* x = args.x + begin;
    partial[static_cast<size_t>(begin / kTaskElements)] =
        sum_over(d, end - begin, [&](V& s, int64_t i, auto part) HWY_ATTR {
          const V v = load_double(d, x + i, part);
          s = hn::MulAdd(v, v, s);
        });
  });
  double total = 0;
  for (const double p : partial) total += p;
  *args.out = total;
}

void adamw_f32(CpuStream& s, const AdamWArgs<float>& a) {
  adamw_impl(s, a);
}
void adamw_f64(CpuStream& s, const AdamWArgs<double>& a) {
  adamw_impl(s, a);
}
void sgd_f32(CpuStream& s, const SgdArgs<float>& a) {
  sgd_impl(s, a);
}
void sgd_f64(CpuStream& s, const SgdArgs<double>& a) {
  sgd_impl(s, a);
}
void sum_squares_f32(CpuStream& s, const SumSquaresArgs<float>& a) {
  sum_squares_impl(s, a);
}
void sum_squares_f64(CpuStream& s, const SumSquaresArgs<double>& a) {
  sum_squares_impl(s, a);
}

}  // namespace ft::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ft {

HWY_EXPORT(adamw_f32);
HWY_EXPORT(adamw_f64);
HWY_EXPORT(sgd_f32);
HWY_EXPORT(sgd_f64);
HWY_EXPORT(sum_squares_f32);
HWY_EXPORT(sum_squares_f64);

void adamw(CpuStream& s, const AdamWArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(adamw_f32)(s, a);
}
void adamw(CpuStream& s, const AdamWArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(adamw_f64)(s, a);
}
void sgd(CpuStream& s, const SgdArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(sgd_f32)(s, a);
}
void sgd(CpuStream& s, const SgdArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(sgd_f64)(s, a);
}
void sum_squares(CpuStream& s, const SumSquaresArgs<float>& a) {
  HWY_DYNAMIC_DISPATCH(sum_squares_f32)(s, a);
}
void sum_squares(CpuStream& s, const SumSquaresArgs<double>& a) {
  HWY_DYNAMIC_DISPATCH(sum_squares_f64)(s, a);
}

}  // namespace ft
#endif
