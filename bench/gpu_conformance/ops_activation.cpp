// Activations, plain and gated, forward and backward.
#include "bench/gpu_conformance/checks.h"
#include "engine/ops/activation.h"
#include "tests/ops/activation_cases.h"

namespace ft::bench {
namespace {

// Exponential, sum, quotient and product: at most this many roundings.
constexpr double kSlack = 6;

struct Inputs {
  std::vector<float> x, up, dy;
};

template <class T, class Place>
Results results(Place place, const ActivationCase& c, const Inputs& in) {
  auto& stream = place.stream();
  auto x = place.template buffer<T>(in.x), up = place.template buffer<T>(in.up),
       dy = place.template buffer<T>(in.dy);
  auto y = results_buffer<T>(place, c.count), dx = results_buffer<T>(place, c.count),
       gated = results_buffer<T>(place, c.count), dgate = results_buffer<T>(place, c.count),
       dup = results_buffer<T>(place, c.count);
  activation(stream, ActivationArgs<T>{c.count, c.kind, x.data(), y.data()});
  activation_grad(stream, ActivationGradArgs<T>{c.count, c.kind, x.data(), dy.data(), dx.data()});
  gated_activation(stream, GatedActivationArgs<T>{c.count, c.kind, x.data(), up.data(), gated.data()});
  gated_activation_grad(stream, GatedActivationGradArgs<T>{c.count, c.kind, x.data(), up.data(), dy.data(),
                                                           dgate.data(), dup.data()});
  Results r;
  r.add("activation", "y", y.host(), {kSlack});
  r.add("activation_grad", "dx", dx.host(), {kSlack});
  r.add("gated_activation", "y", gated.host(), {kSlack});
  r.add("gated_activation_grad", "dgate", dgate.host(), {kSlack});
  r.add("gated_activation_grad", "dup", dup.host(), {kSlack});
  return r;
}

template <class T>
void check(Checks& checks) {
  for (const ActivationCase& c : activation_cases()) {
    const Inputs in{random_inputs<T>(c.count, "x", c.scale), random_inputs<T>(c.count, "up"),
                    random_inputs<T>(c.count, "dy")};
    checks.run<T>("activation", c.name, [&]<class A>(auto place) { return results<A>(place, c, in); });
  }
}

}  // namespace

void check_activations(Checks& checks) {
  check<float>(checks);
  check<BF16>(checks);
  check<F16>(checks);
}

}  // namespace ft::bench
