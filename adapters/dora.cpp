#include "adapters/dora.h"

#include <algorithm>
#include <cmath>

#include "adapters/linear_choice.h"
#include "engine/ops/column_scale.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/low_rank.h"
#include "engine/ops/magnitude.h"
#include "engine/ops/matmul.h"
#include "engine/ops/row_scale.h"

namespace ft {
namespace {

// ‖row‖² of each row of v [rows, cols].
std::vector<double> row_squares(const std::vector<float>& v, int64_t rows) {
  const size_t cols = v.size() / static_cast<size_t>(rows);
  std::vector<double> sums(static_cast<size_t>(rows));
  for (size_t i = 0; i < v.size(); ++i) sums[i / cols] += static_cast<double>(v[i]) * v[i];
  return sums;
}

Tensor vector_like(const Parameter& p, MemoryClass c) {
  return Tensor::zeros(p.value.shape(), p.value.dtype(), c, p.value.device());
}

}  // namespace

Parameter& Dora::add(const Linear& l, const LowRankTerm& term, const AttachOptions& options) {
  const auto vector = [&](const char* which, MemoryClass c) {
    return Parameter::make(fmt::format("{}.{}", l.name, which), {l.out()}, Parameter::Layout::plain,
                           options.compute, c, options.device);
  };
  Site s{&l,
         term,
         vector("lora_magnitude_vector", MemoryClass::trainable),
         vector("dora_factor", MemoryClass::weights),
         {},
         {},
         {0, static_cast<int32_t>(term.a->shape[0])}};
  std::vector<float> v = to_plain(*l.weight.parameter);
  const auto as_float = [&](const std::vector<double>& values, auto&& f) {
    std::vector<float> out;
    for (const double x : values) out.push_back(static_cast<float>(f(x)));
    return out;
  };
  Parameter squares = vector("dora_squares", MemoryClass::weights);
  from_plain(squares, as_float(row_squares(v, l.out()), [](double x) { return x; }));
  add_low_rank(to_plain(*term.a), to_plain(*term.b_t), {}, term.a->shape[0], term.scale, v);
  from_plain(s.magnitude, as_float(row_squares(v, l.out()), [](double x) { return std::sqrt(x); }));
  s.squares = squares.value;
  s.inverse = vector_like(s.magnitude, MemoryClass::weights);
  s.magnitude.train(options.compute);
  s.factor.value.zero();  // until prepare() has been called
  s.factor.train(options.compute);
  by_linear_[&l] = sites_.size();
  sites_.push_back(std::move(s));
  return sites_.back().magnitude;
}

void Dora::prepare(Forward& f, double dropout) {
  for (Site& s : sites_) {
    const Linear& l = *s.linear;
    if (std::count_if(l.adapters.begin(), l.adapters.end(), [](auto* a) { return a->enabled; }) > 1)
      bad_input(
          "adapter: {} has DoRA and another adapter; DoRA scales all of the layer's output, so nothing else "
          "can act there",
          l.name);
    s.apart = (f.training && dropout > 0) || (l.bias && l.bias.parameter->trainable);
    const int64_t rank = s.term.a->shape[0], in = l.in(), out = l.out();
    const Device device = f.tape.device();
    const DType type = s.magnitude.value.dtype();
    const Tensor gram = Tensor::empty({rank, rank}, type, MemoryClass::workspace, device);
    const Tensor sums = Tensor::empty({rank, out}, type, MemoryClass::workspace, device);
    const Tensor cross = Tensor::zeros({out}, type, MemoryClass::workspace, device);
    const Segments one_sample{f.tape.upload(s.bounds), 1};
    launch_on_parameters(f.tape.stream(), type, [&]<class T>(auto& stream) {
      const T *a = s.term.a->value.data<T>(), *b_t = s.term.b_t->value.data<T>();
      const auto scale = static_cast<T>(s.term.scale);
      // s A Aᵀ, then A Wᵀ + ½ (s A Aᵀ) Bᵀ, then half of the sum that `cross` is.
      low_rank_down(stream, LowRankDownArgs<T>{.tokens = rank,
                                               .rank = rank,
                                               .cols = in,
                                               .x = a,
                                               .ldx = in,
                                               .w = a,
                                               .scale = scale,
                                               .u = gram.data<T>()});
      matmul(stream, MatmulArgs<T>{.tokens = rank,
                                   .w = l.weight.parameter->packed(),
                                   .x = a,
                                   .ldx = in,
                                   .y = sums.data<T>(),
                                   .ldy = out});
      low_rank_up(stream, LowRankUpArgs<T>{.tokens = rank,
                                           .rank = rank,
                                           .cols = out,
                                           .u = gram.data<T>(),
                                           .w = b_t,
                                           .scale = T{0.5},
                                           .y = sums.data<T>(),
                                           .ldy = out});
      column_scale_grad(stream, ColumnScaleGradArgs<T>{.segments = one_sample,
                                                       .cols = out,
                                                       .dy = b_t,
                                                       .x = sums.data<T>(),
                                                       .dscale = cross.data<T>()});
      magnitude(stream, MagnitudeArgs<T>{.count = out,
                                         .magnitude = s.magnitude.value.data<T>(),
                                         .squares = s.squares.data<T>(),
                                         .cross = cross.data<T>(),
                                         .scale = 2 * scale,
                                         .shift = T(s.apart ? 1 : 0),
                                         .factor = s.factor.value.data<T>(),
                                         .inverse = s.inverse.data<T>()});
    });
  }
}

Var Dora::after(Forward& f, const Linear& l, const Var& x, const Var& y, LowRankTerm term) {
  Site& s = sites_[by_linear_.at(&l)];
  if (!s.apart) return column_scale(f.tape, y, s.factor, l.bias.parameter);
  const Var dropped = dropout(f.tape, x, term.dropout, term.dropout_key, term.dropout_site);
  term.dropout = 0;
  const Var z = linear(f.tape, dropped, {l.weight.parameter, nullptr, {term}});
  return ft::add(f.tape, y, column_scale(f.tape, z, s.factor));
}

void Dora::collect(Stream& stream) {
  for (Site& s : sites_) {
    launch_on_parameters(stream, s.magnitude.value.dtype(), [&]<class T>(auto& queue) {
      row_scale(queue, RowScaleArgs<T>{.rows = s.magnitude.numel(),
                                       .cols = 1,
                                       .x = s.factor.grad.data<T>(),
                                       .scale = s.inverse.data<T>(),
                                       .y = s.magnitude.grad.data<T>(),
                                       .accumulate = true});
    });
    s.factor.grad.zero();
  }
}

void Dora::merge(const Linear& l, std::vector<float>& v) const {
  const Site& s = sites_[by_linear_.at(&l)];
  const std::vector<float> m = to_plain(s.magnitude);
  const std::vector<double> squares = row_squares(v, l.out());
  const size_t in = static_cast<size_t>(l.in());
  for (size_t i = 0; i < v.size(); ++i)
    if (const double norm = std::sqrt(squares[i / in]); norm > 0)
      v[i] = static_cast<float>(m[i / in] / norm * v[i]);
}

}  // namespace ft
