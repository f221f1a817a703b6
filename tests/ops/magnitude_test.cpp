#include "engine/ops/magnitude.h"

#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

struct Rows {
  static constexpr int64_t kOut = 7, kIn = 11, kRank = 3;
  std::vector<double> w = random_vector<double>(kOut * kIn, "w"), a = random_vector<double>(kRank * kIn, "a"),
                      b = random_vector<double>(kOut * kRank, "b"), m = random_vector<double>(kOut, "m");
  double scale = 1.5;

  /// ‖W_j + s B_j A‖, formed as it reads.
  std::vector<double> norms() const {
    std::vector<double> n;
    for (int64_t j = 0; j < kOut; ++j) {
      double squares = 0;
      for (int64_t k = 0; k < kIn; ++k) {
        double v = w[j * kIn + k];
        for (int64_t i = 0; i < kRank; ++i) v += scale * b[j * kRank + i] * a[i * kIn + k];
        squares += v * v;
      }
      n.push_back(std::sqrt(squares));
    }
    return n;
  }
  /// What the header calls ‖W_j‖² and `cross`.
  void parts(std::vector<double>& squares, std::vector<double>& cross) const {
    for (int64_t j = 0; j < kOut; ++j) {
      double w_w = 0, sum = 0;
      for (int64_t k = 0; k < kIn; ++k) w_w += w[j * kIn + k] * w[j * kIn + k];
      for (int64_t i = 0; i < kRank; ++i) {
        double inner = 0;
        for (int64_t k = 0; k < kIn; ++k) {
          inner += 2 * a[i * kIn + k] * w[j * kIn + k];
          for (int64_t l = 0; l < kRank; ++l)
            inner += scale * a[i * kIn + k] * a[l * kIn + k] * b[j * kRank + l];
        }
        sum += b[j * kRank + i] * inner;
      }
      squares.push_back(w_w);
      cross.push_back(sum);
    }
  }
};

TEST(Magnitude, is_that_over_the_norm_of_the_changed_weight) {
  const Rows rows;
  std::vector<double> squares, cross, factor(Rows::kOut), inverse(Rows::kOut);
  rows.parts(squares, cross);
  const std::vector<double> norms = rows.norms();
  for (const double shift : {0.0, 1.0}) {
    magnitude(stream(), MagnitudeArgs<double>{Rows::kOut, rows.m.data(), squares.data(), cross.data(),
                                              rows.scale, shift, factor.data(), inverse.data()});
    for (size_t j = 0; j < norms.size(); ++j) {
      EXPECT_NEAR(factor[j], rows.m[j] / norms[j] - shift, 1e-13);
      EXPECT_NEAR(inverse[j], 1 / norms[j], 1e-13);  // the derivative by m
    }
  }
}

TEST(Magnitude, a_row_of_zeros_stays_one) {
  const float m = 3, zero = 0;
  float factor = 9, inverse = 9;
  magnitude(stream(), MagnitudeArgs<float>{1, &m, &zero, &zero, 1, 0, &factor, &inverse});
  EXPECT_EQ(factor, 0);
  EXPECT_EQ(inverse, 0);
}

}  // namespace
}  // namespace ft::test
