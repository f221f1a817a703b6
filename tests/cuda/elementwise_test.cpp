// CUDA: sums, scalings and column sums. Add and scale have the CPU's bits; column sums are as exact as a
// loop.
#include "engine/ops/elementwise.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/elementwise_cases.h"
#include "tests/ops/elementwise_oracle.h"

namespace ft::test {
namespace {

/// Buffers `skip` elements behind a 16-byte boundary.
template <class T>
void check_add_and_scale(int64_t n, int64_t skip) {
  const auto a = random_inputs<T>(n, "a"), b = random_inputs<T>(n, "b");
  std::vector<float> sum(a.size()), scaled(a.size());
  add(stream(), AddArgs<float>{n, a.data(), b.data(), sum.data()});
  scale(stream(), ScaleArgs<float>{n, 0.3f, a.data(), scaled.data()});

  DeviceVector<T> in_place(as_type<T>(a), skip), y(n, skip);
  const DeviceVector<T> x(as_type<T>(b), skip);
  add(cuda_stream(), AddArgs<T>{n, in_place.data(), x.data(), y.data()});
  expect_same_bits(y.host(), as_type<T>(sum), "add");
  add(cuda_stream(), AddArgs<T>{n, in_place.data(), x.data(), in_place.data()});
  expect_same_bits(in_place.host(), as_type<T>(sum), "add in place");
  in_place.upload(as_type<T>(a));
  scale(cuda_stream(), ScaleArgs<T>{n, 0.3f, in_place.data(), y.data()});
  expect_same_bits(y.host(), as_type<T>(scaled), "scale");
  scale(cuda_stream(), ScaleArgs<T>{n, 0.3f, in_place.data(), in_place.data()});
  expect_same_bits(in_place.host(), as_type<T>(scaled), "scale in place");
}

TEST(CudaElementwise, add_and_scale_have_the_bits_of_the_cpu) {
  for (const int64_t n : kCounts) {
    SCOPED_TRACE(n);
    check_add_and_scale<float>(n, 0);
    check_add_and_scale<BF16>(n, 0);
    check_add_and_scale<F16>(n, 0);
  }
}

TEST(CudaElementwise, buffers_need_not_be_aligned) {
  for (const int64_t n : {1, 33, 5001}) {
    check_add_and_scale<float>(n, 1);
    check_add_and_scale<BF16>(n, 3);
    check_add_and_scale<F16>(n, 3);
  }
}

class CudaColumnSum : public ::testing::TestWithParam<ColumnSumCase> {
 protected:
  template <class T, class X>
  static ColumnSumArgs<T> args(const Segments& segments, const X* x, Wide<T>* out) {
    ColumnSumArgs<T> a;
    a.segments = segments;
    a.cols = GetParam().cols;
    a.ld = GetParam().ld;
    a.x = x;
    a.out = out;
    return a;
  }
  template <class T>
  static void check() {
    const DeviceIndex bounds(bounds_of(GetParam().lengths));
    const int64_t tokens = bounds.segments().tokens(), cols = GetParam().cols;
    const auto x = random_inputs<T>(tokens * GetParam().ld, "x");
    const auto start = random_vector<float>(cols, "start");
    auto plain = start;
    column_sum_oracle(args<float>(bounds.segments(), x.data(), plain.data()));
    const auto wide_x = widen(x);
    auto reference = widen(start);
    column_sum(stream(), args<double>(bounds.segments(), wide_x.data(), reference.data()));

    const DeviceVector<T> device_x(as_type<T>(x));
    DeviceVector<float> out(start);
    column_sum(cuda_stream(), args<T>(bounds.segments(), device_x.data(), out.data()));
    const auto got = out.host();
    expect_earned(got, plain, reference, 2);

    // Sample by sample, from an address that is not aligned: other calls, the same bits.
    const DeviceVector<T> elsewhere(as_type<T>(x), 1);
    out.upload(start);
    const auto host_bounds = bounds_of(GetParam().lengths);
    for (size_t s = 0; s + 1 < host_bounds.size(); ++s) {
      const DeviceIndex own({0, host_bounds[s + 1] - host_bounds[s]});
      column_sum(cuda_stream(),
                 args<T>(own.segments(), elsewhere.data() + host_bounds[s] * GetParam().ld, out.data()));
      out.host();  // `own` must live until it has been read
    }
    expect_same_bits(out.host(), got, "by samples");
  }
};

TEST_P(CudaColumnSum, is_as_exact_as_the_plain_loop_with_the_same_bits_for_any_grouping) {
  check<float>();
  check<BF16>();
  check<F16>();
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaColumnSum, ::testing::ValuesIn(column_sum_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaColumnSumSlots, many_short_and_long_samples_each_find_their_rows) {
  // Lengths around the chunk of 64 rows, so that chunk numbers round in every way; small integers sum
  // exactly.
  const std::vector<int32_t> lengths = {63, 1, 64, 0, 65, 129, 2, 0, 0, 127, 128, 1, 1, 200};
  const DeviceIndex bounds(bounds_of(lengths));
  const int64_t tokens = bounds.segments().tokens(), cols = 5;
  std::vector<float> x(static_cast<size_t>(tokens * cols)), expected(static_cast<size_t>(cols));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(i % 97);
    expected[i % static_cast<size_t>(cols)] += x[i];
  }
  const DeviceVector<float> device_x(x);
  DeviceVector<float> out(std::vector<float>(static_cast<size_t>(cols)));
  ColumnSumArgs<float> a;
  a.segments = bounds.segments();
  a.cols = a.ld = cols;
  a.x = device_x.data();
  a.out = out.data();
  column_sum(cuda_stream(), a);
  expect_same_bits(out.host(), expected, "sums of integers");
}

}  // namespace
}  // namespace ft::test
