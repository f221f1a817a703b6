#include "engine/train/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/rng.h"

namespace ft {
namespace {

constexpr double kSteps[] = {1e-3, 1e-4, 1e-5, 1e-6};  // of the tensor's own size
constexpr double kAgree = 1e-7;  // two step sizes that do, relative: no smaller ones are tried
constexpr float kStart = 0.02f;

double size_of_elements(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  return std::sqrt(sum / static_cast<double>(std::max<size_t>(1, values.size())));
}

// Normal, as large as the tensor's own elements; a function of its name and values.
std::vector<float> direction(const Parameter& p) {
  std::vector<float> u = to_plain(p);
  const auto size = static_cast<float>(size_of_elements(u));
  Rng rng(20, p.name);
  for (float& v : u) v = size * rng.normal();
  return u;
}

// Moves a parameter along a direction, and back where it was in the end.
class Nudge {
 public:
  explicit Nudge(Parameter& p) : p_(p), start_(p.value.clone(MemoryClass::workspace)) {
    Parameter like = Parameter::make(p.name, p.shape, p.layout, p.value.dtype(), MemoryClass::workspace);
    from_plain(like, direction(p));
    along_ = like.value;
  }
  ~Nudge() { to(0); }
  Nudge(const Nudge&) = delete;
  Nudge& operator=(const Nudge&) = delete;

  void to(double h) {
    const double *from = start_.data<double>(), *u = along_.data<double>();
    double* w = p_.value.data<double>();
    for (int64_t i = 0; i < p_.value.numel(); ++i) w[i] = h == 0 ? from[i] : from[i] + h * u[i];
  }

 private:
  Parameter& p_;
  Tensor start_, along_;
};

double central(GradientSubject& s, Nudge& nudge, double h) {
  nudge.to(h);
  const double above = loss_of(s);
  nudge.to(-h);
  return (above - loss_of(s)) / (2 * h);
}

// The mean loss, with the adapters' own terms; its gradient too, where anything is trainable.
double run(GradientSubject& s, bool recompute) {
  const bool prompted = has_prompt(s.adapters);
  int64_t targets = 0;
  for (const DataRow* r : s.rows) targets += r->targets(prompted);
  AdapterStep step(s.model, s.adapters, s.stream, s.compute, {.training = true, .dropout_key = s.dropout_key},
                   shares_prompt(s.model, s.adapters, true, any_first_target(s.rows)));
  LossSum sum;
  run_rows(s.model, s.stream, s.rows,
           {.compute = s.compute,
            .training = true,
            .recompute = recompute,
            .dropout_key = s.dropout_key,
            .gradient_scale = 1 / static_cast<double>(targets),
            .adapters = &step},
           sum);
  return sum.mean() + step.finish();
}

}  // namespace

void leave_start(const std::vector<Parameter*>& trainables) {
  for (Parameter* p : trainables) {
    std::vector<float> values = to_plain(*p);
    if (std::any_of(values.begin(), values.end(), [](float v) { return v != 0; })) continue;
    Rng rng(21, p->name);
    for (float& v : values) v = kStart * rng.normal();
    from_plain(*p, values);
  }
}

double loss_of(GradientSubject& s) {
  for (Parameter* p : s.trainables) p->trainable = false;  // nothing to record, so nothing runs backward
  const double loss = run(s, false);
  for (Parameter* p : s.trainables) p->trainable = true;
  return loss;
}

std::vector<Derivative> central_differences(GradientSubject& s, const std::vector<Projection>& backward,
                                            const std::function<void(size_t done)>& progress) {
  const double loss = std::abs(loss_of(s));
  std::vector<Derivative> all;
  for (size_t t = 0; t < s.trainables.size(); ++t) {
    Parameter& p = *s.trainables[t];
    Nudge nudge(p);
    Derivative d{.name = p.name, .shape = p.shape, .spread = std::numeric_limits<double>::infinity()};
    double wide = central(s, nudge, kSteps[0]);
    for (size_t i = 1; i < std::size(kSteps); ++i) {
      const double narrow = central(s, nudge, kSteps[i]), spread = std::abs(narrow - wide),
                   ratio = kSteps[i - 1] / kSteps[i];
      if (spread < d.spread) {
        d.value = narrow + (narrow - wide) / (ratio * ratio - 1);
        d.spread = spread;
        d.step = kSteps[i];
        d.floor = 32 * std::numeric_limits<double>::epsilon() * loss / kSteps[i];
      }
      wide = narrow;
      if (d.spread <= std::max(kAgree * std::max(std::abs(d.value), backward[t].scale), d.floor)) break;
    }
    all.push_back(std::move(d));
    if (progress) progress(t + 1);
  }
  return all;
}

std::vector<Projection> backward_projections(GradientSubject& s) {
  for (Parameter* p : s.trainables) p->grad.zero();
  run(s, s.recompute);
  std::vector<Projection> all;
  for (Parameter* p : s.trainables) {
    const std::vector<double> g = grad_to_plain(*p);
    const std::vector<float> u = direction(*p);
    Projection projection;
    double squares = 0;
    for (size_t i = 0; i < g.size(); ++i) {
      projection.value += g[i] * u[i];
      squares += g[i] * g[i];
    }
    projection.scale = std::sqrt(squares) * size_of_elements(u);
    all.push_back(projection);
    p->grad.zero();
  }
  return all;
}

double relative_error(const Derivative& d, const Projection& p) {
  const double error = std::abs(d.value - p.value);
  if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
  return error == 0 ? 0 : error / std::max({std::abs(d.value), std::abs(p.value), p.scale});
}

bool agree(const Derivative& d, const Projection& p, double limit) {
  return relative_error(d, p) <= limit || std::abs(d.value - p.value) <= d.floor;
}

}  // namespace ft
