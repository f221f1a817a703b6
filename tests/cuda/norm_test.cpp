// CUDA: norms, forward and backward, against the CPU in float64.
#include "engine/ops/norm.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/norm_cases.h"
#include "tests/ops/norm_oracle.h"

namespace ft::test {
namespace {

/// The shared cases, rows that take a whole block, and samples of more than one chunk of rows.
std::vector<NormCase> cases() {
  auto all = norm_cases();
  all.push_back({"rms_block_a_row", {2, 1}, 1, 2304, false, false, true, 0, 1e-5});
  all.push_back({"layer_block_a_row_odd", {3}, 1, 1037, true, true, true, 0, 1e-5});
  all.push_back({"layer_long_samples", {130, 64, 65}, 1, 20, true, true, false, 0, 1e-5});
  return all;
}

/// Inputs, as numbers that the type under test holds.
struct Inputs {
  template <class T>
  static Inputs of(const NormCase& c) {
    Inputs in;
    in.spec = c;
    in.bounds = bounds_of(c.lengths);
    in.rows = in.bounds.back() * c.rows_per_token;
    const int64_t n = in.rows * c.cols;
    in.x = random_inputs<T>(n, "x", 1.5, c.shift);
    if (c.residual) in.residual = random_inputs<T>(n, "residual");
    in.weight = random_vector<float>(c.cols, "weight", 0.3, 1 - c.weight_offset);
    if (c.bias) in.bias = random_vector<float>(c.cols, "bias");
    in.dy = random_inputs<T>(n, "dy");
    in.dsum = random_inputs<T>(n, "dsum");
    // 16 bits round h before it is normalised: from there on the residual is part of x.
    if constexpr (sizeof(T) == 2) {
      if (c.residual) in.h = in.x;
      for (size_t i = 0; i < in.h.size(); ++i) in.h[i] = to_float(to_type<T>(in.x[i] + in.residual[i]));
    }
    return in;
  }
  NormCase spec;
  std::vector<int32_t> bounds;
  int64_t rows = 0;
  std::vector<float> x, residual, weight, bias, dy, dsum, h;
};

template <class T>
struct Results {
  std::vector<T> sum, y, dh;
  std::vector<Wide<T>> mean, rstd, dweight, dbias;
};

/// The CPU's op in double, or the plain loops in float.
template <class T>
Results<T> on_host(const Inputs& in) {
  const auto as_t = [](const std::vector<float>& v) { return std::vector<T>(v.begin(), v.end()); };
  const bool presummed = !in.h.empty(), residual = in.spec.residual && !presummed;
  const auto x = as_t(presummed ? in.h : in.x), r = as_t(in.residual), weight = as_t(in.weight),
             bias = as_t(in.bias), dy = as_t(in.dy);
  const auto rows = static_cast<size_t>(in.rows), cols = static_cast<size_t>(in.spec.cols);
  Results<T> out{x,
                 x,
                 as_t(in.dsum),
                 std::vector<T>(rows),
                 std::vector<T>(rows),
                 std::vector<T>(cols, T{1}),
                 std::vector<T>(cols, T{-1})};
  NormArgs<T> a;
  a.rows = in.rows;
  a.cols = in.spec.cols;
  a.x = x.data();
  a.residual = residual ? r.data() : nullptr;
  a.weight = weight.data();
  a.bias = in.spec.bias ? bias.data() : nullptr;
  a.eps = static_cast<T>(in.spec.eps);
  a.weight_offset = static_cast<T>(in.spec.weight_offset);
  a.center = in.spec.center;
  a.sum = residual ? out.sum.data() : nullptr;
  a.y = out.y.data();
  a.mean = in.spec.center ? out.mean.data() : nullptr;
  a.rstd = out.rstd.data();
  NormGradArgs<T> g;
  g.segments = segments_of(in.bounds);
  g.rows_per_token = in.spec.rows_per_token;
  g.cols = in.spec.cols;
  g.dy = dy.data();
  g.h = residual ? out.sum.data() : x.data();
  g.mean = a.mean;
  g.rstd = out.rstd.data();
  g.weight = weight.data();
  g.weight_offset = a.weight_offset;
  g.dh = out.dh.data();
  g.accumulate = true;
  g.dweight = out.dweight.data();
  g.dbias = in.spec.bias ? out.dbias.data() : nullptr;
  if constexpr (std::is_same_v<T, double>) {
    norm(stream(), a);
    norm_grad(stream(), g);
  } else {
    norm_oracle(a);
    norm_grad_oracle(g);
  }
  return out;
}

struct Options {
  int64_t skip = 0;       // elements before every buffer
  bool in_place = false;  // sum over the residual, dh over dy (and then not accumulated)
  bool weight = true, bias = true;
};

template <class T>
Results<T> on_cuda(const Inputs& in, const Options& options = {}) {
  const int64_t skip = options.skip;
  const DeviceIndex bounds(in.bounds);
  DeviceVector<T> x(as_type<T>(in.x), skip), residual(as_type<T>(in.residual), skip),
      dy(as_type<T>(in.dy), skip), own_sum(x.size(), skip), y(x.size(), skip),
      own_dh(as_type<T>(in.dsum), skip);
  const DeviceVector<float> weight(in.weight, skip), bias(in.bias, skip);
  DeviceVector<float> mean(in.rows), rstd(in.rows), dweight(std::vector<float>(in.weight.size(), 1), skip),
      dbias(std::vector<float>(in.weight.size(), -1), skip);
  DeviceVector<T>&sum = options.in_place ? residual : own_sum, &dh = options.in_place ? dy : own_dh;
  NormArgs<T> a;
  a.rows = in.rows;
  a.cols = in.spec.cols;
  a.x = x.data();
  a.residual = in.spec.residual ? residual.data() : nullptr;
  a.weight = weight.data();
  a.bias = in.spec.bias ? bias.data() : nullptr;
  a.eps = static_cast<float>(in.spec.eps);
  a.weight_offset = static_cast<float>(in.spec.weight_offset);
  a.center = in.spec.center;
  a.sum = in.spec.residual ? sum.data() : nullptr;
  a.y = y.data();
  a.mean = in.spec.center ? mean.data() : nullptr;
  a.rstd = rstd.data();
  norm(cuda_stream(), a);
  NormGradArgs<T> g;
  g.segments = bounds.segments();
  g.rows_per_token = in.spec.rows_per_token;
  g.cols = in.spec.cols;
  g.dy = dy.data();
  g.h = in.spec.residual ? sum.data() : x.data();
  g.mean = a.mean;
  g.rstd = rstd.data();
  g.weight = weight.data();
  g.weight_offset = a.weight_offset;
  g.dh = dh.data();
  g.accumulate = !options.in_place;
  g.dweight = options.weight ? dweight.data() : nullptr;
  g.dbias = options.bias && in.spec.bias ? dbias.data() : nullptr;
  norm_grad(cuda_stream(), g);
  Results<T> out{x.host(), y.host(), dh.host(), {}, rstd.host(), dweight.host(), dbias.host()};
  if (in.spec.residual) out.sum = sum.host();
  if (in.spec.center) out.mean = mean.host();
  return out;
}

class CudaNorm : public ::testing::TestWithParam<NormCase> {
 protected:
  template <class T>
  static void check() {
    const auto in = Inputs::of<T>(GetParam());
    const auto got = on_cuda<T>(in);
    const auto reference = on_host<double>(in);
    const auto plain = on_host<float>(in);
    expect_earned_as(got.y, plain.y, reference.y, 2);
    expect_earned(got.rstd, plain.rstd, reference.rstd, 4);
    if (in.spec.center) expect_earned(got.mean, plain.mean, reference.mean, 4);
    if (in.spec.residual) expect_same_bits(got.sum, as_type<T>(plain.sum), "sum");
    expect_earned_as(got.dh, plain.dh, reference.dh, 4);
    expect_earned(got.dweight, plain.dweight, reference.dweight, 4);
    if (in.spec.bias) expect_earned(got.dbias, plain.dbias, reference.dbias, 4);

    const auto elsewhere = on_cuda<T>(in, {.skip = 1});
    expect_same_bits(got.y, elsewhere.y, "y at another address");
    expect_same_bits(got.dh, elsewhere.dh, "dh at another address");
    expect_same_bits(got.dweight, elsewhere.dweight, "dweight at another address");
    expect_same_bits(got.dbias, elsewhere.dbias, "dbias at another address");
    const auto over = on_cuda<T>(in, {.in_place = true});
    expect_same_bits(got.y, over.y, "y, sum over the residual");
    expect_same_bits(got.sum, over.sum, "sum over the residual");
    expect_same_bits(got.dweight, over.dweight, "dweight, dh over dy");
  }
};

TEST_P(CudaNorm, float32_is_as_exact_as_the_plain_composition) {
  check<float>();
}
TEST_P(CudaNorm, bfloat16_is_rounded_once) {
  check<BF16>();
}
TEST_P(CudaNorm, float16_is_rounded_once) {
  check<F16>();
}

TEST_P(CudaNorm, weight_and_bias_gradients_alone_have_the_bits_of_both) {
  const auto in = Inputs::of<BF16>(GetParam());
  const auto both = on_cuda<BF16>(in), weight = on_cuda<BF16>(in, {.bias = false}),
             bias = on_cuda<BF16>(in, {.weight = false});
  expect_same_bits(both.dweight, weight.dweight, "dweight");
  expect_same_bits(both.dbias, bias.dbias, "dbias");
  expect_same_bits(bias.dweight, std::vector<float>(bias.dweight.size(), 1), "dweight untouched");
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaNorm, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaNormAlias, dh_may_be_the_buffer_of_dy) {
  for (const NormCase& c : {cases()[2], cases()[10]}) {
    auto in = Inputs::of<float>(c);
    in.dsum.assign(in.dsum.size(), 0.0f);
    const auto apart = on_cuda<float>(in), over = on_cuda<float>(in, {.in_place = true});
    EXPECT_EQ(apart.dh, over.dh);  // 0 + dh and dh: equal numbers
  }
}

TEST(CudaNormLimits, a_row_of_zeros_is_finite_and_nan_stays_in_its_row) {
  auto in = Inputs::of<float>({"", {3}, 1, 21, true, true, false, 0, 1e-5});
  std::fill_n(in.x.begin(), 21, 0.0f);
  in.x[25] = std::numeric_limits<float>::quiet_NaN();
  const auto r = on_cuda<float>(in);
  for (size_t i = 0; i < 21; ++i) {
    EXPECT_EQ(r.y[i], in.bias[i]);
    EXPECT_TRUE(std::isnan(r.y[21 + i]));
    EXPECT_TRUE(std::isfinite(r.y[42 + i]));
  }
}

}  // namespace
}  // namespace ft::test
