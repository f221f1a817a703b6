// The products with a packed weight against plain loops, in every storage type, and their exact order of
// summation.
#include <cmath>
#include <limits>

#include "tests/ops/matmul_data.h"

namespace ft::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

/// Small enough for float64: a chain of K rounded terms, each no larger than about 16.
double float64_bound(int64_t depth) {
  return static_cast<double>(depth + 4) * 16 * 1e-16;
}

TEST(matmul, float32_is_within_the_error_of_a_plain_loop) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const DType dtype : kStorages) {
      SCOPED_TRACE(c.name() + " " + std::string(dtype_name(dtype)));
      const MatmulData<float> start(c, dtype);
      MatmulData<float> plain = start;
      const auto reference = matmul_oracle<double>(plain.forward());
      const auto loop = matmul_oracle<float>(plain.forward());
      const auto dx_reference = matmul_grad_input_oracle<double>(plain.grad_input());
      const auto dx_loop = matmul_grad_input_oracle<float>(plain.grad_input());
      for_each_target([&] {
        MatmulData<float> d = start;
        matmul(stream(), d.forward());
        expect_earned(d.y, loop, reference);
        MatmulData<float> g = start;
        matmul_grad_input(stream(), g.grad_input());
        expect_earned(g.x, dx_loop, dx_reference);
      });
    }
  }
}

TEST(matmul, float64_from_every_storage_type) {
  for (const MatmulCase& c : matmul_cases()) {
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
      SCOPED_TRACE(c.name() + " " + std::string(dtype_name(dtype)));
      const MatmulData<double> start(c, dtype);
      MatmulData<double> plain = start;
      const auto y = matmul_oracle<double>(plain.forward());
      const auto dx = matmul_grad_input_oracle<double>(plain.grad_input());
      for_each_target([&] {
        MatmulData<double> d = start;
        matmul(stream(), d.forward());
        EXPECT_LE(max_error(d.y, y), float64_bound(c.inputs));
        MatmulData<double> g = start;
        matmul_grad_input(stream(), g.grad_input());
        EXPECT_LE(max_error(g.x, dx), float64_bound(c.outputs));
      });
    }
  }
}

// The documented order, written out: chunks of one chain each, added in order to the start of the sum.
constexpr int64_t documented_chunk(int64_t depth) {
  const int64_t chunks = (depth + 287) / 288, each = (depth + chunks - 1) / chunks;
  return (each + 15) / 16 * 16;
}
template <class F>
float documented_sum(int64_t depth, bool has_start, float start, F&& term) {
  const bool fused = (hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3)) != 0;
  const int64_t chunk = documented_chunk(depth);
  float sum = start;
  for (int64_t i = 0; i < depth; i += chunk) {
    float part = 0;
    for (int64_t j = i; j < std::min(i + chunk, depth); ++j) {
      const auto [a, b] = term(j);
      part = fused ? std::fma(a, b, part) : a * b + part;
    }
    sum = i == 0 && !has_start ? part : sum + part;
  }
  return sum;
}

TEST(matmul, bits_are_those_of_the_documented_order) {
  for (const MatmulCase& c : matmul_cases()) {
    SCOPED_TRACE(c.name());
    const MatmulData<float> start(c, DType::bf16);
    const auto weight = [&](int64_t n, int64_t k) {
      return static_cast<float>(weight_at(start.w.view, n, k));
    };
    for_each_target([&] {
      MatmulData<float> d = start, g = start;
      matmul(stream(), d.forward());
      matmul_grad_input(stream(), g.grad_input());
      std::vector<float> y = start.y, dx = start.x;
      for (int64_t t = 0; t < c.tokens; ++t) {
        for (int64_t n = 0; n < c.outputs; ++n) {
          float& out = y[static_cast<size_t>(t * d.ldy + n)];
          const float bias = start.bias[static_cast<size_t>(n)];
          const float first = c.accumulate ? (c.bias ? out + bias : out) : bias;
          out = documented_sum(c.inputs, c.accumulate || c.bias, first, [&](int64_t k) {
            return std::pair{start.x[static_cast<size_t>(t * d.ldx + k)], weight(n, k)};
          });
        }
        for (int64_t k = 0; k < c.inputs; ++k) {
          float& out = dx[static_cast<size_t>(t * d.ldx + k)];
          const float sum = documented_sum(c.outputs, false, 0, [&](int64_t n) {
            return std::pair{start.y[static_cast<size_t>(t * d.ldy + n)], weight(n, k)};
          });
          out = c.accumulate ? out + sum : sum;
        }
      }
      expect_same_bits(d.y, y, "y");
      expect_same_bits(g.x, dx, "dx");
    });
  }
}

TEST(matmul, no_tokens_touch_nothing) {
  MatmulData<float> d({4, 20, 30, 1, true}, DType::f32);
  const auto x = d.x, y = d.y;
  auto f = d.forward();
  f.tokens = 0;
  matmul(stream(), f);
  auto g = d.grad_input();
  g.tokens = 0;
  matmul_grad_input(stream(), g);
  expect_same_bits(d.x, x, "x");
  expect_same_bits(d.y, y, "y");
}

TEST(matmul, wrong_arguments_are_refused) {
  MatmulData<float> d({4, 20, 30}, DType::f32);
  auto f = d.forward();
  f.ldx = 29;
  EXPECT_THROW(matmul(stream(), f), Error);
  f = d.forward();
  f.w.dtype = DType::f64;
  EXPECT_THROW(matmul(stream(), f), Error);
  auto g = d.grad_input();
  g.ldy = 19;
  EXPECT_THROW(matmul_grad_input(stream(), g), Error);
  g = d.grad_input();
  g.w.dtype = DType::i32;
  EXPECT_THROW(matmul_grad_input(stream(), g), Error);
}

TEST(matmul, infinities_and_nans_reach_their_own_row_only) {
  for (const int64_t tokens : {1, 3, 5, 40, 200}) {
    for (const DType dtype : kStorages) {
      MatmulData<float> start({tokens, 21, 300}, dtype);
      start.x[static_cast<size_t>((tokens - 1) * start.ldx + 5)] = static_cast<float>(kInf);
      start.x[7] = static_cast<float>(kNaN);
      start.y[static_cast<size_t>((tokens - 1) * start.ldy + 20)] = -static_cast<float>(kInf);
      MatmulData<float> plain = start;
      const auto y = matmul_oracle<double>(plain.forward());
      const auto dx = matmul_grad_input_oracle<double>(plain.grad_input());
      for_each_target([&] {
        MatmulData<float> d = start, g = start;
        matmul(stream(), d.forward());
        matmul_grad_input(stream(), g.grad_input());
        EXPECT_LT(max_error(d.y, y), 1e-3) << tokens;
        EXPECT_LT(max_error(g.x, dx), 1e-3) << tokens;
      });
    }
  }
}

TEST(matmul, every_float16_and_bfloat16_is_widened_exactly) {
  constexpr int64_t kCount = 65536;
  for (const DType dtype : {DType::f16, DType::bf16}) {
    std::vector<uint16_t> bits(kCount);
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
    // K = 1: the packed copy is W itself; x = 1 gives it back, widened.
    const PackedView w = {dtype, kCount, 1, bits.data()};
    for (const int64_t tokens : {1, 8}) {
      const std::vector<float> x(static_cast<size_t>(tokens), 1.0f);
      std::vector<float> y(static_cast<size_t>(tokens * kCount));
      for_each_target([&] {
        matmul(stream(), MatmulArgs<float>{tokens, w, x.data(), 1, nullptr, y.data(), kCount});
        for (size_t i = 0; i < bits.size(); ++i) {
          const float expected = dtype == DType::f16 ? to_float(F16{bits[i]}) : to_float(BF16{bits[i]});
          if (std::isnan(expected)) {
            ASSERT_TRUE(std::isnan(y[i])) << i;
          } else {
            ASSERT_EQ(y[i], expected) << i;
          }
        }
      });
    }
  }
}

TEST(matmul, packing_and_unpacking_are_inverse) {
  constexpr int64_t kRows = 37, kCols = 83, kLd = 90;
  std::vector<float> plain = random_vector<float>(kRows * kLd, "plain");
  // What rounding has to get right: ties, overflow, subnormals of the narrow types, infinities, NaN.
  const float special[] = {0.0f,     -0.0f,    1.00390625f,    1.01171875f,     65504.0f,        65519.9f,
                           65520.0f, 3.39e38f, -6.1e-5f,       5.9e-8f,         3e-8f,           2.98e-8f,
                           1e-40f,   1e-45f,   1.00048828125f, -1.00146484375f, -INFINITY,       INFINITY,
                           NAN,      -1e30f,   2049.0f,        2051.0f,         1.17549435e-38f, 0x1.fep127f};
  std::copy(std::begin(special), std::end(special), plain.begin());  // in a whole panel
  std::copy(std::begin(special), std::end(special),
            plain.begin() + 36 * kLd + 20);  // in the last, partial one
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    SCOPED_TRACE(dtype_name(dtype));
    for_each_target([&] {
      std::vector<std::byte> data(static_cast<size_t>(packed_elements(kRows, kCols)) * size_of(dtype)),
          pieces = data;
      pack_rows(dtype, kRows, kCols, data.data(), 0, kRows, plain.data(), kLd);
      for (int64_t row = 0; row < kRows; row += 5) {  // across the borders of panels
        const int64_t count = std::min<int64_t>(5, kRows - row);
        pack_rows(dtype, kRows, kCols, pieces.data(), row, count, plain.data() + row * kLd, kLd);
      }
      const PackedView w = {dtype, kRows, kCols, data.data()},
                       w_pieces = {dtype, kRows, kCols, pieces.data()};
      std::vector<float> back(static_cast<size_t>(kRows * kLd), 7.0f), back_pieces = back;
      unpack_rows(w, 0, kRows, back.data(), kLd);
      unpack_rows(w_pieces, 0, 20, back_pieces.data(), kLd);
      unpack_rows(w_pieces, 20, kRows - 20, back_pieces.data() + 20 * kLd, kLd);
      const auto same = [](float a, float b) {
        return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
      };
      for (int64_t n = 0; n < kRows; ++n) {
        for (int64_t k = 0; k < kLd; ++k) {
          const auto i = static_cast<size_t>(n * kLd + k);
          const float stored = dtype == DType::bf16  ? to_float(to_bf16(plain[i]))
                               : dtype == DType::f16 ? to_float(to_f16(plain[i]))
                                                     : plain[i];
          const float expected = k < kCols ? stored : 7.0f;
          EXPECT_TRUE(same(back[i], expected)) << n << ", " << k << ": " << back[i] << ", not " << expected;
          EXPECT_TRUE(same(back_pieces[i], expected)) << n << ", " << k << " in pieces: " << back_pieces[i];
          if (k < kCols) {
            EXPECT_TRUE(same(static_cast<float>(weight_at(w, n, k)), stored))
                << n << ", " << k << " is elsewhere";
          }
        }
      }
      EXPECT_THROW(unpack_rows(w, 30, 8, back.data(), kLd), Error);
    });
  }
}

}  // namespace
}  // namespace ft::test
