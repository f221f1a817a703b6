// CUDA: rotary embedding, forward and inverse, with the bits of the CPU's float32.
#include "engine/ops/rope.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/rope_cases.h"

namespace ft::test {
namespace {

class CudaRope : public ::testing::TestWithParam<RopeCase> {
 protected:
  /// Rows `pad` elements longer than the heads, buffers `skip` elements behind a boundary.
  template <class T>
  static void check(int64_t pad, int64_t skip) {
    const RopeCase& c = GetParam();
    const int64_t ld = c.heads * c.head_dim + pad;
    const auto x = random_inputs<T>(c.tokens * ld, "x");
    std::vector<float> cos, sin;
    for (const float angle : random_vector<float>(c.tokens * c.rotary_dim / 2, "angle", 3)) {
      cos.push_back(std::cos(angle));
      sin.push_back(std::sin(angle));
    }
    const DeviceVector<float> device_cos(cos, skip), device_sin(sin, skip);
    DeviceVector<T> device_x(c.tokens * ld, skip);
    for (const bool inverse : {false, true}) {
      auto expected = x;
      rope(stream(), RopeArgs<float>{c.tokens, c.heads, c.head_dim, c.rotary_dim, expected.data(), ld,
                                     cos.data(), sin.data(), c.interleaved, inverse});
      device_x.upload(as_type<T>(x));
      rope(cuda_stream(), RopeArgs<T>{c.tokens, c.heads, c.head_dim, c.rotary_dim, device_x.data(), ld,
                                      device_cos.data(), device_sin.data(), c.interleaved, inverse});
      expect_same_bits(device_x.host(), as_type<T>(expected), inverse ? "inverse" : "forward");
    }
  }
};

TEST_P(CudaRope, has_the_bits_of_the_cpu) {
  check<float>(0, 0);
  check<BF16>(0, 0);
  check<F16>(0, 0);
}
TEST_P(CudaRope, rows_need_not_be_aligned) {
  check<float>(3, 0);
  check<BF16>(8, 1);
  check<F16>(8, 1);
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaRope, ::testing::ValuesIn(rope_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaRopeEdges, shapes_are_checked) {
  RopeArgs<float> a;
  a.tokens = a.heads = 1;
  a.head_dim = 8;
  a.rotary_dim = 7;
  EXPECT_THROW(rope(cuda_stream(), a), Error);
  a.rotary_dim = 10;
  EXPECT_THROW(rope(cuda_stream(), a), Error);
}

}  // namespace
}  // namespace ft::test
