// LoRA's thin products, and the kernel that does a whole layer with its adapter, compared with the
// composition.
#include "bench/gpu_conformance/checks.h"
#include "engine/ops/low_rank.h"
#include "kernels/cuda/lora_linear.h"
#include "tests/ops/low_rank_cases.h"
#include "tests/ops/low_rank_linear_cases.h"

namespace ft::bench {
namespace {

/// The shared cases, and what only the device's tiles make special.
std::vector<LowRankCase> cases() {
  std::vector<LowRankCase> all = low_rank_cases();
  all.push_back({9, 10, 1100, 4});
  all.push_back({9, 4, 36, 12, 2, false});
  all.push_back({5, 130, 24, 0, 0.5});
  all.push_back({300, 3, 20, 4, 2});
  return all;
}

template <class T>
void check_thin_products(Checks& checks, const LowRankCase& c) {
  const int64_t ld = c.cols + c.pad;
  const auto x = random_inputs<T>(c.tokens * ld, "x"), u = random_inputs<T>(c.tokens * c.rank, "u");
  const auto w = random_vector<float>(c.rank * c.cols, "w");
  const auto third = static_cast<int32_t>(c.tokens / 3);
  const DeviceIndex bounds({0, third, third, static_cast<int32_t>(c.tokens)});
  checks.run<T>("low_rank_down", c.name(), [&]<class A>(auto place) {
    const auto scale = static_cast<Wide<A>>(c.scale);
    auto wide = place.template buffer<A>(x), thin = place.template buffer<A>(u),
         y = place.template buffer<A>(x);
    auto weight = place.template buffer<Wide<A>>(w), dw = place.template buffer<Wide<A>>(w);
    auto down = results_buffer<A>(place, c.tokens * c.rank);
    low_rank_down(place.stream(), LowRankDownArgs<A>{c.tokens, c.rank, c.cols, wide.data(), ld, weight.data(),
                                                     scale, down.data()});
    low_rank_up(place.stream(), LowRankUpArgs<A>{c.tokens, c.rank, c.cols, thin.data(), weight.data(), scale,
                                                 y.data(), ld, c.accumulate});
    low_rank_grad(place.stream(), LowRankGradArgs<A>{bounds.segments(), c.rank, c.cols, thin.data(),
                                                     wide.data(), ld, scale, dw.data()});
    Results r;
    r.add("low_rank_down", "u", down.host(), sum_allowance(c.cols));
    r.add("low_rank_up", "y", y.host(), sum_allowance(c.rank));
    r.add("low_rank_grad", "dw", dw.host(), sum_allowance(c.tokens));
    return r;
  });
}

template <class T>
void check_layer(Checks& checks, const LowRankCase& c, bool with_bias) {
  if (c.rank > 64) return;  // the kernel's largest
  const int64_t inputs = c.cols, outputs = c.cols / 2 + 1, ldx = inputs + c.pad, ldy = outputs + c.pad;
  const auto x = random_inputs<T>(c.tokens * ldx, "x"), w = random_inputs<T>(outputs * inputs, "w"),
             a = random_inputs<T>(c.rank * inputs, "a"), bt = random_inputs<T>(c.rank * outputs, "bt"),
             bias = random_inputs<T>(outputs, "bias");
  checks.run<T>("lora_linear", c.name(), [&]<class A>(auto place) {
    const auto scale = static_cast<Wide<A>>(c.scale);
    auto in = place.template buffer<A>(x);
    auto down = place.template buffer<Wide<A>>(a), up = place.template buffer<Wide<A>>(bt),
         added = place.template buffer<Wide<A>>(bias);
    auto y = results_buffer<A>(place, c.tokens * ldy);
    const Wide<A>* b = with_bias ? added.data() : nullptr;
    const auto weight = place.weight(dtype_of<T>, outputs, inputs, w);
    if constexpr (place.is_cpu) {
      auto thin = results_buffer<A>(place, c.tokens * c.rank);
      matmul(place.stream(), MatmulArgs<A>{c.tokens, weight.view, in.data(), ldx, b, y.data(), ldy});
      low_rank_down(place.stream(), LowRankDownArgs<A>{c.tokens, c.rank, inputs, in.data(), ldx, down.data(),
                                                       1, thin.data()});
      low_rank_up(place.stream(),
                  LowRankUpArgs<A>{c.tokens, c.rank, outputs, thin.data(), up.data(), scale, y.data(), ldy});
    } else {
      lora_linear(place.stream(), LoraLinearArgs<A>{c.tokens, outputs, inputs, c.rank, in.data(), ldx,
                                                    static_cast<const A*>(weight.view.data), b, down.data(),
                                                    up.data(), scale, y.data(), ldy});
    }
    Results r;
    Allowance allowed = sum_allowance(inputs);
    // Tensor cores take the thin product in 16 bits, whose rounding every output inherits.
    if (sizeof(A) == 2) allowed.units = kHalfUnit<A> * 0x1p24;
    r.add("lora_linear", "y", y.host(), allowed);
    return r;
  });
}

/// The op that the engine calls: its plans, dropout and backward.
template <class T>
void check_linear(Checks& checks, const LowRankLinearCase& c) {
  const LowRankLinearData d(c);
  checks.run<T>("low_rank_linear", c.name(), [&]<class A>(auto place) {
    const int64_t tokens = c.tokens();
    const DeviceIndex bounds(d.bounds), row(d.row), position(d.position);
    auto x = place.template buffer<A>(d.x), dy = place.template buffer<A>(d.dy),
         dx = place.template buffer<A>(d.dx);
    auto bias = place.template buffer<Wide<A>>(d.bias);
    auto y = results_buffer<A>(place, tokens * c.outputs);
    const auto weight = place.weight(dtype_of<T>, c.outputs, c.inputs, d.w);
    using Thin = decltype(y);
    using Wides = decltype(bias);
    std::vector<Thin> u, du;
    std::vector<Wides> a, b_t, da, db_t;
    std::vector<LowRankTermArgs<A>> terms;
    for (size_t i = 0; i < c.ranks.size(); ++i) {
      a.push_back(place.template buffer<Wide<A>>(d.a[i]));
      b_t.push_back(place.template buffer<Wide<A>>(d.b_t[i]));
      da.push_back(place.template buffer<Wide<A>>(std::vector<float>(d.a[i].size())));
      db_t.push_back(place.template buffer<Wide<A>>(std::vector<float>(d.b_t[i].size())));
      u.push_back(results_buffer<A>(place, tokens * c.ranks[i]));
      du.push_back(results_buffer<A>(place, tokens * c.ranks[i]));
      terms.push_back({c.ranks[i], a[i].data(), b_t[i].data(),
                       static_cast<Wide<A>>(LowRankLinearData::kScale[i]), d.dropout(i), 77, 5, u[i].data(),
                       du[i].data(), da[i].data(), db_t[i].data()});
    }
    low_rank_linear(place.stream(),
                    LowRankLinearArgs<A>{tokens, weight.view, x.data(), c.bias ? bias.data() : nullptr,
                                         y.data(), row.view(), position.view(), terms});
    low_rank_linear_grad(place.stream(), LowRankLinearGradArgs<A>{bounds.segments(), weight.view, x.data(),
                                                                  dy.data(), dx.data(), c.accumulate,
                                                                  row.view(), position.view(), terms});
    Results r;
    Allowance allowed = sum_allowance(c.inputs + c.outputs + tokens);
    // In 16 bits u and du are rounded (2^-9), and everything behind them inherits it.
    if (sizeof(A) == 2) allowed.units = 0x1p17;
    r.add("low_rank_linear", "y", y.host(), allowed);
    r.add("low_rank_linear_grad", "dx", dx.host(), allowed);
    for (size_t i = 0; i < terms.size(); ++i) {
      r.add("low_rank_linear_grad", "da", da[i].host(), allowed);
      r.add("low_rank_linear_grad", "db_t", db_t[i].host(), allowed);
    }
    return r;
  });
}

}  // namespace

void check_low_rank(Checks& checks) {
  bool bias = false;
  for (const LowRankCase& c : cases()) {
    check_thin_products<float>(checks, c);
    check_thin_products<BF16>(checks, c);
    check_thin_products<F16>(checks, c);
    check_layer<float>(checks, c, bias);
    check_layer<BF16>(checks, c, bias);
    check_layer<F16>(checks, c, bias);
    bias = !bias;
  }
  for (const LowRankLinearCase& c : low_rank_linear_cases()) {
    check_linear<float>(checks, c);
    check_linear<BF16>(checks, c);
  }
}

}  // namespace ft::bench
