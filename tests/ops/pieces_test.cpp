#include "engine/ops/pieces.h"

#include "engine/autograd/tape.h"
#include "tests/ops/op_test.h"
#include "tests/ops/pieces_cases.h"

namespace ft::test {
namespace {

class SwapAxes : public ::testing::TestWithParam<SwapAxesCase> {
 protected:
  template <class T>
  static void check() {
    const auto& [name, tokens, outer, inner] = GetParam();
    const auto x = random_vector<T>(tokens * outer * inner, "x");
    std::vector<T> want(x.size()), got(x.size()), back(x.size());
    swap_axes_oracle(SwapAxesArgs<T>{tokens, outer, inner, x.data(), want.data()});
    for (const int threads : kThreadCounts) {
      swap_axes(stream(threads), SwapAxesArgs<T>{tokens, outer, inner, x.data(), got.data()});
      expect_same_bits(got, want, "y");
    }
    swap_axes(stream(), SwapAxesArgs<T>{tokens, inner, outer, got.data(), back.data()});
    expect_same_bits(back, x, "swapped back");
  }
};

TEST_P(SwapAxes, moves_every_element_to_its_place) {
  check<float>();
  check<double>();
}

INSTANTIATE_TEST_SUITE_P(Cases, SwapAxes, ::testing::ValuesIn(swap_axes_cases()),
                         [](const auto& info) { return info.param.name; });

/// (W₁ ⊗ W₂) x of rows of two samples, on a tape in double.
struct Kronecker {
  static constexpr int64_t kOuter = 3, kInner = 4, kOut1 = 5, kOut2 = 2, kTokens = 6;
  std::vector<double> x = random_vector<double>(kTokens * kOuter * kInner, "x"),
                      dy = random_vector<double>(kTokens * kOut1 * kOut2, "dy");
  Parameter w1 = matrix("w1", kOut1, kOuter), w2 = matrix("w2", kOut2, kInner);
  std::vector<double> dx;

  static Parameter matrix(const char* name, int64_t rows, int64_t cols) {
    Parameter p = Parameter::make(name, {rows, cols}, Parameter::Layout::packed, DType::f64);
    const auto values = random_vector<float>(rows * cols, name);
    from_plain(p, values);
    p.train(DType::f64);
    return p;
  }
  /// y; with `backward` the gradients too.
  std::vector<double> run(bool backward = false) {
    auto layout = std::make_shared<Layout>();
    layout->add_sample(2, 0);
    layout->add_sample(kTokens - 2, 1);
    Tape tape(Stream(stream()), DType::f64, layout, true);
    const Var in(tensor_of(x, kTokens), true);
    Var y = swap_axes(tape, linear_of_pieces(tape, in, w2), kOuter);
    y = swap_axes(tape, linear_of_pieces(tape, y, w1), kOut2);
    if (backward) {
      y.gradient().add(tape.stream(), tensor_of(dy, kTokens));
      tape.backward();
      dx = in.gradient().sum().to_vector<double>();
    }
    return y.value().to_vector<double>();
  }
};

TEST(LinearOfPieces, makes_a_kronecker_product_of_two_of_them) {
  Kronecker k;
  const std::vector<double> got = k.run();
  const std::vector<float> w1 = to_plain(k.w1), w2 = to_plain(k.w2);
  using K = Kronecker;
  for (int64_t t = 0; t < K::kTokens; ++t)
    for (int64_t a = 0; a < K::kOut1; ++a)
      for (int64_t c = 0; c < K::kOut2; ++c) {
        double want = 0;
        for (int64_t b = 0; b < K::kOuter; ++b)
          for (int64_t d = 0; d < K::kInner; ++d)
            want += static_cast<double>(w1[a * K::kOuter + b]) * w2[c * K::kInner + d] *
                    k.x[(t * K::kOuter + b) * K::kInner + d];
        EXPECT_NEAR(got[(t * K::kOut1 + a) * K::kOut2 + c], want, 1e-12);
      }
}

TEST(LinearOfPieces, gradients_match_central_differences) {
  Kronecker k;
  k.run(true);
  const auto loss = [&] { return dot(k.run(), k.dy); };
  expect_gradient(k.x, loss, k.dx);
  for (Parameter* p : {&k.w1, &k.w2}) {
    const std::vector<double> gradient = grad_to_plain(*p);
    const std::vector<float> start = to_plain(*p);
    for (size_t i = 0; i < start.size(); ++i) {
      double sides[2];
      for (const int side : {0, 1}) {
        std::vector<float> moved = start;
        moved[i] += side ? 0.125f : -0.125f;
        from_plain(*p, moved);
        sides[side] = loss();
      }
      from_plain(*p, start);
      EXPECT_NEAR((sides[1] - sides[0]) / 0.25, gradient[i], 1e-5) << p->name << " " << i;
    }
  }
}

}  // namespace
}  // namespace ft::test
