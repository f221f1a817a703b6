// Sums, scalings (of all and by column), column sums and dropout.
#include "bench/gpu_conformance/checks.h"
#include "engine/ops/column_scale.h"
#include "engine/ops/elementwise.h"
#include "tests/ops/column_scale_cases.h"
#include "tests/ops/elementwise_cases.h"

namespace ft::bench {
namespace {

template <class T>
void check_whole_buffers(Checks& checks) {
  for (const int64_t n : kCounts) {
    const auto a = random_inputs<T>(n, "a"), b = random_inputs<T>(n, "b");
    checks.run<T>("add", fmt::format("{}", n), [&]<class A>(auto place) {
      auto x = place.template buffer<A>(a), y = place.template buffer<A>(b);
      auto sum = results_buffer<A>(place, n), scaled = results_buffer<A>(place, n);
      add(place.stream(), AddArgs<A>{n, x.data(), y.data(), sum.data()});
      scale(place.stream(), ScaleArgs<A>{n, static_cast<Wide<A>>(0.3f), x.data(), scaled.data()});
      Results r;
      r.add("add", "y", sum.host(), {1});
      r.add("scale", "y", scaled.host(), {1});
      return r;
    });
  }
}

template <class T>
void check_column_sums(Checks& checks) {
  for (const ColumnSumCase& c : column_sum_cases()) {
    const DeviceIndex bounds(bounds_of(c.lengths));
    const auto x = random_inputs<T>(bounds.segments().tokens() * c.ld, "x");
    const auto start = random_vector<float>(c.cols, "start");
    checks.run<T>("column_sum", c.name, [&]<class A>(auto place) {
      auto matrix = place.template buffer<A>(x);
      auto out = place.template buffer<Wide<A>>(start);
      column_sum(place.stream(),
                 ColumnSumArgs<A>{bounds.segments(), c.cols, matrix.data(), c.ld, out.data()});
      Results r;
      r.add("column_sum", "out", out.host(), {4});
      return r;
    });
  }
}

template <class T>
void check_column_scales(Checks& checks) {
  for (const ColumnScaleCase& c : column_scale_cases()) {
    const DeviceIndex bounds(bounds_of(c.lengths));
    const int64_t rows = bounds.segments().tokens(), n = rows * c.cols;
    const auto x = random_inputs<T>(n, "x"), dy = random_inputs<T>(n, "dy"),
               start = random_inputs<T>(n, "dx");
    const auto factors = random_vector<float>(c.cols, "scale", 0.5, 1),
               start_factors = random_vector<float>(c.cols, "dscale");
    checks.run<T>("column_scale", c.name, [&]<class A>(auto place) {
      auto in = place.template buffer<A>(x), from = place.template buffer<A>(dy),
           dx = place.template buffer<A>(start), y = results_buffer<A>(place, n);
      auto scale = place.template buffer<Wide<A>>(factors),
           dscale = place.template buffer<Wide<A>>(start_factors);
      column_scale(place.stream(), ColumnScaleArgs<A>{rows, c.cols, in.data(), scale.data(), y.data()});
      column_scale_grad(place.stream(),
                        ColumnScaleGradArgs<A>{bounds.segments(), c.cols, from.data(), in.data(),
                                               scale.data(), dx.data(), c.accumulate, dscale.data()});
      Results r;
      r.add("column_scale", "y", y.host(), {2});
      r.add("column_scale_grad", "dx", dx.host(), {2});
      r.add("column_scale_grad", "dscale", dscale.host(), {4});
      return r;
    });
  }
}

template <class T>
void check_dropout(Checks& checks) {
  for (const DropoutCase& c : dropout_cases()) {
    std::vector<int32_t> rows, positions;
    for (int32_t t = 0; t < c.tokens; ++t) {
      rows.push_back(t / 5 + 100);
      positions.push_back(t % 5);
    }
    const DeviceIndex row(rows), position(positions);
    const auto x = random_inputs<T>(c.tokens * c.cols, "x"), old = random_inputs<T>(c.tokens * c.cols, "y");
    checks.run<T>("dropout", c.name, [&]<class A>(auto place) {
      Results r;
      for (const bool accumulate : {false, true}) {
        auto from = place.template buffer<A>(x), y = place.template buffer<A>(old);
        dropout(place.stream(), DropoutArgs<A>{c.tokens, c.cols, from.data(), y.data(), accumulate, c.p,
                                               c.key, 3, row.view(), position.view()});
        r.add("dropout", accumulate ? "added" : "y", y.host(), {2});
      }
      return r;
    });
  }
}

}  // namespace

void check_elementwise(Checks& checks) {
  check_whole_buffers<float>(checks);
  check_whole_buffers<BF16>(checks);
  check_whole_buffers<F16>(checks);
  check_column_sums<float>(checks);
  check_column_sums<BF16>(checks);
  check_column_sums<F16>(checks);
  check_column_scales<float>(checks);
  check_column_scales<BF16>(checks);
  check_column_scales<F16>(checks);
  check_dropout<float>(checks);
  check_dropout<BF16>(checks);
  check_dropout<F16>(checks);
}

}  // namespace ft::bench
