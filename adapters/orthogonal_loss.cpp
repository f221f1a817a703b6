#include "adapters/orthogonal_loss.h"

#include <cmath>

#include "engine/ops/low_rank.h"

namespace ft {
namespace {

/// In place: P Pᵀ [r, r] becomes the factor of P in the gradient. Returns ‖P Pᵀ − 1‖.
template <class T>
double to_gradient_factor(T* gram, int64_t rank, double weight) {
  double squares = 0;
  for (int64_t i = 0; i < rank * rank; ++i) {
    if (i % (rank + 1) == 0) gram[i] -= 1;
    squares += static_cast<double>(gram[i]) * static_cast<double>(gram[i]);
  }
  const double norm = std::sqrt(squares);
  for (int64_t i = 0; i < rank * rank; ++i)
    gram[i] = norm > 0 ? static_cast<T>(2 * weight / norm * static_cast<double>(gram[i])) : T{0};
  return norm;
}

}  // namespace

double orthogonal_loss(Stream& stream, const std::vector<Parameter*>& matrices, double weight,
                       double loss_scale) {
  int64_t elements = 0;
  for (const Parameter* p : matrices) elements += p->shape[0] * p->shape[0];
  if (elements == 0 || weight == 0) return 0;
  const double share = weight / static_cast<double>(matrices.size());
  double norms = 0;
  launch_on_parameters(stream, matrices[0]->value.dtype(), [&]<class T>(auto& s) {
    const Tensor grams =
        Tensor::empty({elements}, dtype_of<T>, MemoryClass::workspace, matrices[0]->value.device());
    const auto each = [&](auto&& f) {
      int64_t at = 0;
      for (Parameter* p : matrices) {
        if (p->shape[0] > 0) f(*p, at);
        at += p->shape[0] * p->shape[0];
      }
    };
    each([&](const Parameter& p, int64_t at) {
      low_rank_down(s, LowRankDownArgs<T>{.tokens = p.shape[0],
                                          .rank = p.shape[0],
                                          .cols = p.shape[1],
                                          .x = p.value.data<T>(),
                                          .ldx = p.shape[1],
                                          .w = p.value.data<T>(),
                                          .u = grams.data<T>() + at});
    });
    std::vector<T> host = grams.to_vector<T>();
    each([&](const Parameter& p, int64_t at) {
      norms += to_gradient_factor(host.data() + at, p.shape[0], share * loss_scale);
    });
    copy_from_host(grams.device(), grams.raw(), host.data(), grams.bytes());
    each([&](const Parameter& p, int64_t at) {
      low_rank_up(s, LowRankUpArgs<T>{.tokens = p.shape[0],
                                      .rank = p.shape[0],
                                      .cols = p.shape[1],
                                      .u = grams.data<T>() + at,
                                      .w = p.value.data<T>(),
                                      .y = p.grad.data<T>(),
                                      .ldy = p.shape[1]});
    });
  });
  return share * norms;
}

}  // namespace ft
