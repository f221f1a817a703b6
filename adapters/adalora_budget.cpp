#include "adapters/adalora_budget.h"

#include <algorithm>

#include "engine/ops/importance.h"
#include "engine/ops/row_scale.h"

namespace ft {

void scale_rows(Stream& stream, const Tensor& x, const Tensor& factors, const Tensor& y, bool accumulate) {
  launch_on_parameters(stream, x.dtype(), [&]<class T>(auto& s) {
    row_scale(s, RowScaleArgs<T>{.rows = x.dim(0),
                                 .cols = x.dim(1),
                                 .x = x.data<T>(),
                                 .scale = factors.data<T>(),
                                 .y = y.data<T>(),
                                 .accumulate = accumulate});
  });
}

void dot_rows(Stream& stream, const Tensor& a, const Tensor& b, double factor, const Tensor& out,
              bool accumulate) {
  launch_on_parameters(stream, a.dtype(), [&]<class T>(auto& s) {
    row_dot(s, RowDotArgs<T>{.rows = a.dim(0),
                             .cols = a.dim(1),
                             .a = a.data<T>(),
                             .b = b.data<T>(),
                             .factor = static_cast<T>(factor),
                             .out = out.data<T>(),
                             .accumulate = accumulate});
  });
}

void measure_importance(Stream& stream, const AdaLoraTriplets& module, double beta1, double beta2,
                        double gradient_scale) {
  for (const AdaLoraFactor* f : module.factors())
    launch_on_parameters(stream, f->value->value.dtype(), [&]<class T>(auto& s) {
      importance(s, ImportanceArgs<T>{.count = f->value->numel(),
                                      .w = f->value->value.data<T>(),
                                      .grad = f->value->grad.data<T>(),
                                      .grad_scale = static_cast<T>(gradient_scale),
                                      .beta1 = static_cast<T>(beta1),
                                      .beta2 = static_cast<T>(beta2),
                                      .average = f->average->value.data<T>(),
                                      .uncertainty = f->uncertainty->value.data<T>()});
    });
}

void apply_mask(Stream& stream, const AdaLoraTriplets& module) {
  const Tensor& e = module.e.value->value;
  scale_rows(stream, e, module.mask->value, e);
}

void cut_to_budget(Stream& stream, const std::vector<const AdaLoraTriplets*>& modules, int64_t budget) {
  // A triplet's score: its value's own, and the means over its vectors.
  std::vector<std::vector<float>> scores;
  std::vector<float> all;
  for (const AdaLoraTriplets* m : modules) {
    Parameter sum =
        Parameter::make("score", {m->rank(), 1}, Parameter::Layout::plain, m->e.value->value.dtype(),
                        MemoryClass::workspace, m->e.value->value.device());
    sum.value.zero();
    for (const AdaLoraFactor* f : {&m->a, &m->b_t, &m->e})
      dot_rows(stream, f->average->value, f->uncertainty->value, 1 / static_cast<double>(f->value->shape[1]),
               sum.value, true);
    scores.push_back(to_plain(sum));
    all.insert(all.end(), scores.back().begin(), scores.back().end());
  }
  const int64_t away = static_cast<int64_t>(all.size()) - budget;
  float threshold = -1;  // scores are not negative
  if (away > 0) {
    std::nth_element(all.begin(), all.begin() + (away - 1), all.end());
    threshold = all[static_cast<size_t>(away - 1)];
  }
  for (size_t i = 0; i < modules.size(); ++i) {
    std::vector<float> mask;
    for (const float score : scores[i]) mask.push_back(score <= threshold ? 0.f : 1.f);
    from_plain(*modules[i]->mask, mask);
    apply_mask(stream, *modules[i]);
  }
}

}  // namespace ft
