// Three optimizer steps, and the squared norm. Parameters are float32 whatever the activations are.
#include <cmath>

#include "bench/gpu_conformance/checks.h"
#include "engine/ops/optimizer.h"
#include "engine/ops/optimizer_step.h"
#include "tests/ops/optimizer_cases.h"

namespace ft::bench {
namespace {

constexpr int64_t kSteps = 3;

std::vector<float> gradient(int64_t count, int64_t step) {
  return random_vector<float>(count, fmt::format("grad{}", step), 0.1);
}

void check_adamw(Checks& checks) {
  for (const AdamWCase& c : adamw_cases()) {
    checks.run<float>("adamw", c.name, [&]<class A>(auto place) {
      const std::vector<float> zeros(static_cast<size_t>(c.count));
      auto w = place.template buffer<A>(random_vector<float>(c.count, "w")),
           m = place.template buffer<A>(zeros), v = place.template buffer<A>(zeros);
      for (int64_t t = 1; t <= kSteps; ++t) {
        auto grad = place.template buffer<A>(gradient(c.count, t));
        adamw(place.stream(), AdamWArgs<A>{c.count, w.data(), grad.data(), m.data(), v.data(), c.lr, c.beta1,
                                           c.beta2, c.eps, c.weight_decay, c.grad_scale, t});
      }
      Results r;
      r.add("adamw", "w", w.host(), {4});
      r.add("adamw", "m", m.host(), {4});
      r.add("adamw", "v", v.host(), {4});
      return r;
    });
  }
}

void check_sgd(Checks& checks) {
  for (const SgdCase& c : sgd_cases()) {
    checks.run<float>("sgd", c.name, [&]<class A>(auto place) {
      auto w = place.template buffer<A>(random_vector<float>(c.count, "w"));
      auto buf = results_buffer<A>(place, c.count);  // what it holds before the first step must not matter
      for (int64_t t = 1; t <= kSteps; ++t) {
        auto grad = place.template buffer<A>(gradient(c.count, t));
        sgd(place.stream(), SgdArgs<A>{c.count, w.data(), grad.data(), c.momentum != 0 ? buf.data() : nullptr,
                                       c.lr, c.momentum, c.weight_decay, c.grad_scale, t});
      }
      Results r;
      r.add("sgd", "w", w.host(), {4});
      r.add("sgd", "buf", buf.host(), {4});
      return r;
    });
  }
}

void check_sum_squares(Checks& checks) {
  for (const int64_t n : {0, 1, 5, 1023, 16384, 16385, 50003}) {
    const auto x = random_vector<float>(n, "x");
    checks.run<float>("sum_squares", fmt::format("{}", n), [&]<class A>(auto place) {
      auto values = place.template buffer<A>(x);
      auto out = results_buffer<double>(place, 1);
      sum_squares(place.stream(), SumSquaresArgs<A>{n, values.data(), out.data()});
      Results r;
      // Squares are exact in double; the order of the sum differs from the CPU's.
      r.add("sum_squares", "out", out.host(), {4 + std::sqrt(static_cast<double>(n))});
      return r;
    });
  }
}

/// All tensors at once, as the engine takes them.
void check_steps(Checks& checks) {
  const std::vector<int64_t> counts = {1, 1037, kTrainedChunk, 40003};
  checks.run<float>("adamw_step", "four tensors", [&]<class A>(auto place) {
    using Buffer = decltype(place.template buffer<A>({}));
    std::vector<Buffer> w, grad, m, v;
    std::vector<TrainedTensor<A>> list;
    for (const int64_t n : counts) {
      w.push_back(place.template buffer<A>(random_vector<float>(n, "w")));
      grad.push_back(place.template buffer<A>(gradient(n, n)));
      m.push_back(place.template buffer<A>(random_vector<float>(n, "m", 0.1)));
      v.push_back(place.template buffer<A>(std::vector<float>(static_cast<size_t>(n), 0.5f)));
      list.push_back({n, w.back().data(), grad.back().data(), m.back().data(), v.back().data(), 1, 0.01});
    }
    TrainedTensors<A> all{list, nullptr, nullptr, number_chunks(std::span(list))};
    std::vector<int32_t> owner;
    for (size_t i = 0; i < list.size(); ++i)
      owner.resize(static_cast<size_t>(i + 1 < list.size() ? list[i + 1].chunk : all.chunks),
                   static_cast<int32_t>(i));
    const DeviceVector<TrainedTensor<A>> table(list);
    const DeviceIndex owners(owner);
    all.device = table.data();
    all.owner = owners.view().device;
    auto squares = results_buffer<double>(place, static_cast<int64_t>(counts.size()));
    square_gradients(place.stream(), SquareGradientsArgs<A>{all, squares.data()});
    adamw_step(place.stream(), AdamWStepArgs<A>{.tensors = all, .lr = 1e-3, .grad_scale = 0.3, .t = 3});
    clear_gradients(place.stream(), ClearGradientsArgs<A>{all});
    Results r;
    r.add("square_gradients", "out", squares.host(), {300});
    for (size_t i = 0; i < counts.size(); ++i) {
      r.add("adamw_step", "w", w[i].host(), {4});
      r.add("clear_gradients", "grad", grad[i].host(), {});
    }
    return r;
  });
}

}  // namespace

void check_optimizers(Checks& checks) {
  check_adamw(checks);
  check_sgd(checks);
  check_sum_squares(checks);
  check_steps(checks);
}

}  // namespace ft::bench
