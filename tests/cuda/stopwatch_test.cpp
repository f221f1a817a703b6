#include "kernels/cuda/stopwatch.h"

#include <gtest/gtest.h>

#include "engine/ops/elementwise.h"
#include "tests/cuda/device_vector.h"

namespace ft::test {
namespace {

TEST(cuda_stopwatch, measures_what_was_queued_since_its_start) {
  constexpr int64_t kCount = 200000;
  DeviceVector<float> x{std::vector<float>(kCount, 1)};
  Stopwatch watch(cuda_stream());
  watch.start();
  scale(cuda_stream(), {kCount, 2, x.data(), x.data()});
  const double one = watch.seconds();
  for (int i = 0; i < 9; ++i) scale(cuda_stream(), {kCount, 2, x.data(), x.data()});
  const double ten = watch.seconds();
  EXPECT_GT(one, 0);
  EXPECT_GT(ten, 2 * one);  // since the same start
  watch.start();
  EXPECT_LT(watch.seconds(), ten);
}

}  // namespace
}  // namespace ft::test
