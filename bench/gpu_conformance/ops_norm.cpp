// Norms, forward and backward.
#include "bench/gpu_conformance/checks.h"
#include "engine/ops/norm.h"
#include "tests/ops/norm_cases.h"

namespace ft::bench {
namespace {

/// The shared cases, rows that take a whole block, and samples of more than one chunk of rows.
std::vector<NormCase> cases() {
  auto all = norm_cases();
  all.push_back({"rms_block_a_row", {2, 1}, 1, 2304, false, false, true, 0, 1e-5});
  all.push_back({"layer_block_a_row_odd", {3}, 1, 1037, true, true, true, 0, 1e-5});
  all.push_back({"layer_long_samples", {130, 64, 65}, 1, 20, true, true, false, 0, 1e-5});
  return all;
}

struct Inputs {
  NormCase c;
  DeviceIndex bounds;
  int64_t rows;
  std::vector<float> x, residual, weight, bias, dy, dsum;
  std::vector<float> h;  // x + residual where the device rounds it before it is normalised: in 16 bits
};

template <class T>
Inputs inputs(const NormCase& c) {
  Inputs in{c, DeviceIndex(bounds_of(c.lengths)), 0, {}, {}, {}, {}, {}, {}, {}};
  in.rows = in.bounds.segments().tokens() * c.rows_per_token;
  const int64_t n = in.rows * c.cols;
  in.x = random_inputs<T>(n, "x", 1.5, c.shift);
  if (c.residual) in.residual = random_inputs<T>(n, "residual");
  in.weight = random_vector<float>(c.cols, "weight", 0.3, 1 - c.weight_offset);
  if (c.bias) in.bias = random_vector<float>(c.cols, "bias");
  in.dy = random_inputs<T>(n, "dy");
  in.dsum = random_inputs<T>(n, "dsum");
  if (sizeof(T) == 2 && c.residual) {
    in.h = in.x;
    for (size_t i = 0; i < in.h.size(); ++i)
      in.h[i] = static_cast<float>(exactly(as_type<T>({in.x[i] + in.residual[i]}))[0]);
  }
  return in;
}

template <class T, class Place>
Results results(Place place, const Inputs& in) {
  using W = Wide<T>;
  const NormCase& c = in.c;
  const bool presummed = place.is_cpu && !in.h.empty(), residual = c.residual && !presummed;
  auto x = place.template buffer<T>(presummed ? in.h : in.x), added = place.template buffer<T>(in.residual),
       dy = place.template buffer<T>(in.dy), dh = place.template buffer<T>(in.dsum);
  auto weight = place.template buffer<W>(in.weight), bias = place.template buffer<W>(in.bias),
       dweight = place.template buffer<W>(in.weight), dbias = place.template buffer<W>(in.weight);
  auto sum = results_buffer<T>(place, in.rows * c.cols), y = results_buffer<T>(place, in.rows * c.cols);
  auto mean = results_buffer<W>(place, in.rows), rstd = results_buffer<W>(place, in.rows);

  NormArgs<T> a;
  a.rows = in.rows;
  a.cols = c.cols;
  a.x = x.data();
  a.residual = residual ? added.data() : nullptr;
  a.weight = weight.data();
  a.bias = c.bias ? bias.data() : nullptr;
  a.eps = static_cast<W>(c.eps);
  a.weight_offset = static_cast<W>(c.weight_offset);
  a.center = c.center;
  a.sum = residual ? sum.data() : nullptr;
  a.y = y.data();
  a.mean = c.center ? mean.data() : nullptr;
  a.rstd = rstd.data();
  norm(place.stream(), a);

  NormGradArgs<T> g;
  g.segments = in.bounds.segments();
  g.rows_per_token = c.rows_per_token;
  g.cols = c.cols;
  g.dy = dy.data();
  g.h = residual ? sum.data() : x.data();
  g.mean = a.mean;
  g.rstd = rstd.data();
  g.weight = weight.data();
  g.weight_offset = a.weight_offset;
  g.dh = dh.data();
  g.accumulate = true;
  g.dweight = dweight.data();
  g.dbias = c.bias ? dbias.data() : nullptr;
  norm_grad(place.stream(), g);

  Results r;
  r.add("norm", "y", y.host(), {4});
  r.add("norm", "rstd", rstd.host(), {4});
  r.add("norm", "mean", mean.host(), {4});
  if (c.residual) r.add("norm", "sum", (presummed ? x : sum).host(), {1});
  r.add("norm_grad", "dh", dh.host(), {6});
  r.add("norm_grad", "dweight", dweight.host(), {6});
  r.add("norm_grad", "dbias", dbias.host(), {6});
  return r;
}

template <class T>
void check(Checks& checks) {
  for (const NormCase& c : cases()) {
    const Inputs in = inputs<T>(c);
    checks.run<T>("norm", c.name, [&]<class A>(auto place) { return results<A>(place, in); });
  }
}

}  // namespace

void check_norms(Checks& checks) {
  check<float>(checks);
  check<BF16>(checks);
  check<F16>(checks);
}

}  // namespace ft::bench
