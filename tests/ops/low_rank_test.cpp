// The thin products of LoRA against plain loops, their gradients, and the bits that must not change.
#include <limits>

#include "tests/ops/low_rank_cases.h"
#include "tests/ops/low_rank_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

template <class T>
struct LowRankData {
  LowRankCase c;
  int64_t ld;
  std::vector<T> x, w, u;  // [T, ld], [r, C], [T, r]

  explicit LowRankData(const LowRankCase& c_)
      : c(c_),
        ld(c.cols + c.pad),
        x(random_vector<T>(c.tokens * ld, "x")),
        w(random_vector<T>(c.rank * c.cols, "w")),
        u(random_vector<T>(c.tokens * c.rank, "u")) {}

  LowRankDownArgs<T> down() {
    return {c.tokens, c.rank, c.cols, x.data(), ld, w.data(), static_cast<T>(c.scale), u.data()};
  }
  LowRankUpArgs<T> up() {
    return {c.tokens, c.rank, c.cols,      u.data(), w.data(), static_cast<T>(c.scale),
            x.data(), ld,     c.accumulate};
  }
  LowRankGradArgs<T> grad(const std::vector<int32_t>& bounds) {
    return {segments_of(bounds), c.rank, c.cols, u.data(), x.data(), ld, static_cast<T>(c.scale), w.data()};
  }
};

/// Samples of the case's tokens: a third, none, the rest.
std::vector<int32_t> bounds_for(const LowRankCase& c) {
  const auto third = static_cast<int32_t>(c.tokens / 3);
  return {0, third, third, static_cast<int32_t>(c.tokens)};
}

template <class T>
void compare_with_loops() {
  for (const LowRankCase& c : low_rank_cases()) {
    SCOPED_TRACE(c.name());
    const LowRankData<T> start(c);
    const std::vector<int32_t> bounds = bounds_for(c);
    LowRankData<T> plain = start;
    const auto u = low_rank_down_oracle<double>(plain.down());
    const auto u_loop = low_rank_down_oracle<T>(plain.down());
    const auto y = low_rank_up_oracle<double>(plain.up());
    const auto y_loop = low_rank_up_oracle<T>(plain.up());
    const auto dw = low_rank_grad_oracle<double>(plain.grad(bounds));
    const auto dw_loop = low_rank_grad_oracle<T>(plain.grad(bounds));
    // In float64 the reference rounds as much as the kernel: a few units at the largest magnitude of a sum.
    const double slack = std::is_same_v<T, double> ? 64 : 1;
    for_each_target([&] {
      LowRankData<T> d = start;
      low_rank_down(stream(), d.down());
      expect_earned(d.u, u_loop, u, slack);
      d = start;
      low_rank_up(stream(), d.up());
      expect_earned(d.x, y_loop, y, slack);
      d = start;
      low_rank_grad(stream(), d.grad(bounds));
      expect_earned(d.w, dw_loop, dw, slack);
    });
  }
}

TEST(low_rank, float32_is_within_the_error_of_a_plain_loop) {
  compare_with_loops<float>();
}
TEST(low_rank, float64_equals_a_plain_loop) {
  compare_with_loops<double>();
}

constexpr double kStep =
    1e-2;  // the loss is linear in each operand: no truncation, so a wide step for less rounding

// L = <g, up(down(x, A), Bt)>: the whole adapter, with its three gradients made of the same three kernels.
TEST(low_rank, gradients_of_an_adapter_pass_central_differences) {
  for (const LowRankCase& c : low_rank_cases()) {
    SCOPED_TRACE(c.name());
    const int64_t T = c.tokens, r = c.rank, in = c.cols, out = c.cols + 3;
    for_each_target([&] {
      std::vector<double> x = random_vector<double>(T * in, "x"), a = random_vector<double>(r * in, "a");
      std::vector<double> bt = random_vector<double>(r * out, "bt");
      const std::vector<double> g = random_vector<double>(T * out, "g");
      std::vector<double> u(static_cast<size_t>(T * r)), du(u.size()), y(static_cast<size_t>(T * out));
      const auto loss = [&] {
        low_rank_down(stream(), {T, r, in, x.data(), in, a.data(), 1.0, u.data()});
        low_rank_up(stream(), {T, r, out, u.data(), bt.data(), c.scale, y.data(), out, false});
        return dot(y, g);
      };
      loss();
      const std::vector<int32_t> bounds = bounds_for(c);
      std::vector<double> dx(x.size()), da(a.size()), dbt(bt.size());
      low_rank_down(stream(), {T, r, out, g.data(), out, bt.data(), c.scale, du.data()});
      low_rank_up(stream(), {T, r, in, du.data(), a.data(), 1.0, dx.data(), in, false});
      low_rank_grad(stream(), {segments_of(bounds), r, in, du.data(), x.data(), in, 1.0, da.data()});
      low_rank_grad(stream(), {segments_of(bounds), r, out, u.data(), g.data(), out, c.scale, dbt.data()});
      expect_gradient(x, loss, dx, 2e-8, kStep);
      expect_gradient(a, loss, da, 2e-8, kStep);
      expect_gradient(bt, loss, dbt, 2e-8, kStep);
    });
  }
}

TEST(low_rank, a_row_has_the_same_bits_alone_and_among_others) {
  for (const LowRankCase& shape :
       {LowRankCase{130, 8, 300, 0, 2}, LowRankCase{130, 3, 33}, LowRankCase{130, 13, 70, 0, 1, false}}) {
    const LowRankData<float> start(shape);
    for_each_target([&] {
      LowRankData<float> all = start, all_up = start;
      low_rank_down(stream(), all.down());
      low_rank_up(stream(), all_up.up());
      for (const int64_t group : {1, 2, 3, 4, 5, 7, 23, 25, 50}) {
        LowRankCase c = shape;
        c.tokens = group;
        c.pad = 5;
        const int64_t row = 11;
        LowRankData<float> d(c);
        d.w = start.w;
        std::fill(d.x.begin(), d.x.end(), std::numeric_limits<float>::quiet_NaN());
        for (int64_t i = 0; i < group; ++i) {
          std::copy_n(start.x.begin() + (row + i) * start.ld, c.cols, d.x.begin() + i * d.ld);
        }
        std::copy_n(start.u.begin() + row * c.rank, group * c.rank, d.u.begin());
        LowRankData<float> up = d;
        low_rank_down(stream(), d.down());
        low_rank_up(stream(), up.up());
        for (int64_t i = 0; i < group; ++i) {
          EXPECT_EQ(std::memcmp(&d.u[static_cast<size_t>(i * c.rank)],
                                &all.u[static_cast<size_t>((row + i) * c.rank)],
                                static_cast<size_t>(c.rank) * sizeof(float)),
                    0)
              << group << " rows, row " << i;
          EXPECT_EQ(std::memcmp(&up.x[static_cast<size_t>(i * up.ld)],
                                &all_up.x[static_cast<size_t>((row + i) * start.ld)],
                                static_cast<size_t>(c.cols) * sizeof(float)),
                    0)
              << group << " rows up, row " << i;
          EXPECT_TRUE(std::isnan(up.x[static_cast<size_t>(i * up.ld + c.cols)])) << "written behind the row";
        }
      }
    });
  }
}

TEST(low_rank, samples_and_threads_do_not_change_the_bits_of_a_gradient) {
  const std::vector<int32_t> lengths = {90, 33, 1, 64, 0, 300, 7, 128}, bounds = bounds_of(lengths);
  for (const LowRankCase& c : {LowRankCase{623, 8, 768, 0, 2}, LowRankCase{623, 5, 61, 3, 0.5}}) {
    const LowRankData<float> start(c);
    for_each_target([&] {
      LowRankData<float> once = start;
      low_rank_grad(stream(), once.grad(bounds));
      const auto grouped = [&](const std::vector<size_t>& groups) {
        LowRankData<float> d = start;
        size_t s = 0;
        for (const size_t count : groups) {
          std::vector<int32_t> part;
          for (size_t i = 0; i <= count; ++i) part.push_back(bounds[s + i] - bounds[s]);
          auto a = d.grad(part);
          a.x += bounds[s] * d.ld;
          a.u += bounds[s] * c.rank;
          low_rank_grad(stream(), a);
          s += count;
        }
        return d.w;
      };
      expect_same_bits(grouped({1, 1, 1, 1, 1, 1, 1, 1}), once.w, "eight calls");
      expect_same_bits(grouped({3, 5}), once.w, "3 + 5");
      LowRankData<float> down = start, up = start;
      low_rank_down(stream(), down.down());
      low_rank_up(stream(), up.up());
      for (const int threads : kThreadCounts) {
        LowRankData<float> d = start;
        low_rank_grad(stream(threads), d.grad(bounds));
        expect_same_bits(d.w, once.w, "grad, threads");
        d = start;
        low_rank_down(stream(threads), d.down());
        expect_same_bits(d.u, down.u, "down, threads");
        d = start;
        low_rank_up(stream(threads), d.up());
        expect_same_bits(d.x, up.x, "up, threads");
      }
    });
  }
}

TEST(low_rank, no_tokens_touch_nothing_and_wrong_arguments_are_refused) {
  LowRankData<float> d({4, 3, 20});
  const auto x = d.x, w = d.w, u = d.u;
  auto down = d.down();
  down.tokens = 0;
  low_rank_down(stream(), down);
  auto up = d.up();
  up.tokens = 0;
  low_rank_up(stream(), up);
  low_rank_grad(stream(), d.grad({0, 0, 0}));
  expect_same_bits(d.x, x, "x");
  expect_same_bits(d.w, w, "w");
  expect_same_bits(d.u, u, "u");
  down = d.down();
  down.rank = 0;
  EXPECT_THROW(low_rank_down(stream(), down), Error);
  up = d.up();
  up.ldy = 19;
  EXPECT_THROW(low_rank_up(stream(), up), Error);
}

}  // namespace
}  // namespace ft::test
