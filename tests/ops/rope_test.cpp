// Rotary embedding: against the plain composition, its inverse as its gradient, and the promises about bits.
#include "engine/ops/rope.h"

#include "tests/ops/op_test.h"
#include "tests/ops/rope_cases.h"
#include "tests/ops/rope_oracle.h"

namespace ft::test {
namespace {

template <class T>
struct RopeData {
  explicit RopeData(const RopeCase& c) : shape(c), ld(c.heads * c.head_dim + 3) {
    x = random_vector<T>(c.tokens * ld, "x");
    for (const T angle : random_vector<T>(c.tokens * c.rotary_dim / 2, "angle", 3)) {
      cos.push_back(std::cos(angle));
      sin.push_back(std::sin(angle));
    }
  }
  RopeArgs<T> args(bool inverse = false) {
    return {shape.tokens, shape.heads, shape.head_dim, shape.rotary_dim,  x.data(),
            ld,           cos.data(),  sin.data(),     shape.interleaved, inverse};
  }
  RopeCase shape;
  int64_t ld;
  std::vector<T> x, cos, sin;
};

class Rope : public testing::TestWithParam<RopeCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, Rope, testing::ValuesIn(rope_cases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Rope, Float32WithinEarnedTolerance) {
  for (const bool inverse : {false, true}) {
    RopeData<float> plain(GetParam());
    RopeData<double> exact(GetParam());
    exact.x = widen(plain.x);
    exact.cos = widen(plain.cos);
    exact.sin = widen(plain.sin);
    rope_oracle(plain.args(inverse));
    rope_oracle(exact.args(inverse));
    for_each_target([&] {
      RopeData<float> x(GetParam());
      rope(stream(), x.args(inverse));
      expect_earned(x.x, plain.x, exact.x);
    });
  }
}

TEST_P(Rope, InverseIsTheGradient) {
  for_each_target([&] {
    RopeData<double> x(GetParam()), dy(GetParam());
    dy.x = random_vector<double>(static_cast<int64_t>(x.x.size()), "dy");
    const std::vector<double> weights = dy.x;
    rope(stream(), dy.args(true));
    const auto loss = [&] {
      RopeData<double> y = x;
      rope(stream(), y.args());
      return dot(y.x, weights);
    };
    expect_gradient(x.x, loss, dy.x);
  });
}

TEST_P(Rope, ThreadsAndNeighboursDoNotChangeBits) {
  for_each_target([&] {
    RopeData<float> one(GetParam()), alone(GetParam());
    rope(stream(), one.args());
    for (const int threads : kThreadCounts) {
      RopeData<float> x(GetParam());
      rope(stream(threads), x.args());
      expect_same_bits(one.x, x.x, "threads");
    }
    const int64_t half = GetParam().rotary_dim / 2;
    for (int64_t t = 0; t < GetParam().tokens; ++t) {
      RopeArgs<float> a = alone.args();
      a.tokens = 1;
      a.x += t * a.ld;
      a.cos += t * half;
      a.sin += t * half;
      rope(stream(), a);
    }
    expect_same_bits(one.x, alone.x, "rows");
  });
}

TEST(RopeEdges, ShapesAreChecked) {
  RopeData<float> x({"", 2, 1, 8, 8});
  RopeArgs<float> a = x.args();
  a.rotary_dim = 7;
  EXPECT_THROW(rope(stream(), a), Error);
  a.rotary_dim = 10;
  EXPECT_THROW(rope(stream(), a), Error);
}

}  // namespace
}  // namespace ft::test
