// CUDA: rows copied by index, bit for bit.
#include "engine/ops/rows.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/rows_cases.h"

namespace ft::test {
namespace {

class CudaCopyRows : public ::testing::TestWithParam<CopyRowsCase> {
 protected:
  template <class T>
  static void check(int64_t skip) {
    const CopyRowsCase& c = GetParam();
    const auto x = random_inputs<T>(c.rows_x * c.ldx, "x"), start = random_inputs<T>(c.rows_y * c.ldy, "y");
    const DeviceIndex from(c.from), to(c.to);
    CopyRowsArgs<float> on_cpu;
    auto expected = start;
    on_cpu.count = c.count;
    on_cpu.cols = c.cols;
    on_cpu.x = x.data();
    on_cpu.ldx = c.ldx;
    on_cpu.y = expected.data();
    on_cpu.ldy = c.ldy;
    if (!c.from.empty()) on_cpu.from = from.view();
    if (!c.to.empty()) on_cpu.to = to.view();
    copy_rows(stream(), on_cpu);

    const DeviceVector<T> device_x(as_type<T>(x), skip);
    DeviceVector<T> y(as_type<T>(start), skip);
    CopyRowsArgs<T> a;
    a.count = c.count;
    a.cols = c.cols;
    a.x = device_x.data();
    a.ldx = c.ldx;
    a.y = y.data();
    a.ldy = c.ldy;
    a.from = on_cpu.from;
    a.to = on_cpu.to;
    copy_rows(cuda_stream(), a);
    expect_same_bits(y.host(), as_type<T>(expected), "y");
  }
};

TEST_P(CudaCopyRows, copies_the_named_rows_and_nothing_else) {
  check<float>(0);
  check<BF16>(0);
  check<float>(1);
  check<BF16>(1);
  check<F16>(1);
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaCopyRows, ::testing::ValuesIn(copy_rows_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaCopyRowsErrors, indices_that_the_device_does_not_have_are_refused) {
  const int32_t row = 0;
  CopyRowsArgs<float> a;
  a.from = &row;
  EXPECT_THROW(copy_rows(cuda_stream(), a), Error);
}

}  // namespace
}  // namespace ft::test
