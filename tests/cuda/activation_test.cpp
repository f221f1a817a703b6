// CUDA: every activation, plain and gated, forward and backward, against the CPU in float64.
#include "engine/ops/activation.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/activation_cases.h"
#include "tests/ops/activation_oracle.h"

namespace ft::test {
namespace {

template <class T>
struct Results {
  std::vector<T> y, dx, gated, dgate, dup;
};

template <class T>
Results<T> on_cpu(const ActivationCase& c, const std::vector<T>& x, const std::vector<T>& up,
                  const std::vector<T>& dy) {
  Results<T> r{x, x, x, x, x};
  activation(stream(), ActivationArgs<T>{c.count, c.kind, x.data(), r.y.data()});
  activation_grad(stream(), ActivationGradArgs<T>{c.count, c.kind, x.data(), dy.data(), r.dx.data()});
  gated_activation(stream(), GatedActivationArgs<T>{c.count, c.kind, x.data(), up.data(), r.gated.data()});
  gated_activation_grad(stream(), GatedActivationGradArgs<T>{c.count, c.kind, x.data(), up.data(), dy.data(),
                                                             r.dgate.data(), r.dup.data()});
  return r;
}

Results<float> by_definition(const ActivationCase& c, const std::vector<float>& x,
                             const std::vector<float>& up, const std::vector<float>& dy) {
  Results<float> r;
  for (size_t i = 0; i < x.size(); ++i) {
    const float value = activation_oracle(c.kind, x[i]), slope = activation_slope_oracle(c.kind, x[i]);
    r.y.push_back(value);
    r.dx.push_back(dy[i] * slope);
    r.gated.push_back(value * up[i]);
    r.dgate.push_back(dy[i] * up[i] * slope);
    r.dup.push_back(dy[i] * value);
  }
  return r;
}

/// Results in buffers of their own or, `in_place`, over inputs where the header allows it.
template <class T>
Results<T> on_cuda(const ActivationCase& c, const std::vector<float>& x, const std::vector<float>& up,
                   const std::vector<float>& dy, int64_t skip = 0, bool in_place = false) {
  DeviceVector<T> a(as_type<T>(x), skip), b(as_type<T>(up), skip), g(as_type<T>(dy), skip);
  DeviceVector<T> out(c.count, skip), second(c.count, skip);
  Results<T> r;
  gated_activation_grad(cuda_stream(),
                        GatedActivationGradArgs<T>{c.count, c.kind, a.data(), b.data(), g.data(), out.data(),
                                                   in_place ? g.data() : second.data()});
  r.dgate = out.host();
  r.dup = (in_place ? g : second).host();
  g.upload(as_type<T>(dy));
  DeviceVector<T>&dx = in_place ? g : out, &gated = in_place ? b : out, &y = in_place ? a : out;
  activation_grad(cuda_stream(), ActivationGradArgs<T>{c.count, c.kind, a.data(), g.data(), dx.data()});
  r.dx = dx.host();
  gated_activation(cuda_stream(), GatedActivationArgs<T>{c.count, c.kind, a.data(), b.data(), gated.data()});
  r.gated = gated.host();
  activation(cuda_stream(), ActivationArgs<T>{c.count, c.kind, a.data(), y.data()});
  r.y = y.host();
  return r;
}

template <class T>
void expect_same(const Results<T>& a, const Results<T>& b) {
  expect_same_bits(a.y, b.y, "y");
  expect_same_bits(a.dx, b.dx, "dx");
  expect_same_bits(a.gated, b.gated, "gated");
  expect_same_bits(a.dgate, b.dgate, "dgate");
  expect_same_bits(a.dup, b.dup, "dup");
}

class CudaActivation : public ::testing::TestWithParam<ActivationCase> {
 protected:
  template <class T>
  static void check() {
    const ActivationCase& c = GetParam();
    const auto x = random_inputs<T>(c.count, "x", c.scale), up = random_inputs<T>(c.count, "up"),
               dy = random_inputs<T>(c.count, "dy");
    const auto reference = on_cpu<double>(c, widen(x), widen(up), widen(dy));
    const auto plain = by_definition(c, x, up, dy);
    const auto got = on_cuda<T>(c, x, up, dy);
    // Exponential, sum, quotient and product: at most this many half units; plain may be exact by luck.
    constexpr double kSlack = 6;
    expect_earned_as(got.y, plain.y, reference.y, kSlack);
    expect_earned_as(got.dx, plain.dx, reference.dx, kSlack);
    expect_earned_as(got.gated, plain.gated, reference.gated, kSlack);
    expect_earned_as(got.dgate, plain.dgate, reference.dgate, kSlack);
    expect_earned_as(got.dup, plain.dup, reference.dup, kSlack);
    expect_same(got, on_cuda<T>(c, x, up, dy, 1, true));
  }
};

TEST_P(CudaActivation, float32_is_as_exact_as_the_definition_and_works_in_place) {
  check<float>();
}
TEST_P(CudaActivation, bfloat16_is_rounded_once_and_works_in_place) {
  check<BF16>();
}
TEST_P(CudaActivation, float16_is_rounded_once_and_works_in_place) {
  check<F16>();
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaActivation, ::testing::ValuesIn(activation_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaActivationLimits, far_inputs_saturate_and_nan_passes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {1e4f, -1e4f, 100.0f, -100.0f, 0.0f, 1e-30f, nan, 3e10f, -3e10f};
  const std::vector<float> one(x.size(), 1.0f);
  for (const Activation kind :
       {Activation::gelu, Activation::gelu_tanh, Activation::silu, Activation::relu}) {
    const auto r = on_cuda<float>({"", kind, static_cast<int64_t>(x.size()), 1}, x, one, one);
    for (const size_t i : {0, 2, 7}) {
      EXPECT_EQ(r.y[i], x[i]);
      EXPECT_EQ(r.dx[i], 1.0f);
    }
    for (const size_t i : {1, 8}) {
      EXPECT_EQ(r.y[i], 0.0f);
      EXPECT_EQ(r.dx[i], 0.0f);
    }
    EXPECT_LE(std::fabs(r.y[3]), 1e-36f);
    EXPECT_LE(std::fabs(r.dx[3]), 1e-36f);
    EXPECT_EQ(r.y[4], 0.0f);
    EXPECT_TRUE(std::isnan(r.y[6]));
  }
  const auto tanh = on_cuda<float>({"", Activation::tanh, static_cast<int64_t>(x.size()), 1}, x, one, one);
  EXPECT_EQ(tanh.y[0], 1.0f);
  EXPECT_EQ(tanh.y[1], -1.0f);
  EXPECT_EQ(tanh.y[4], 0.0f);
  EXPECT_TRUE(std::isnan(tanh.y[6]));
}

}  // namespace
}  // namespace ft::test
