#include "adapters/lora_start.h"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <cmath>

#include "engine/core/rng.h"

namespace ft {
namespace {

using Matrix = Eigen::MatrixXd;

Matrix weight_of(const Linear& l) {
  const std::vector<float> w = to_plain(*l.weight.parameter);
  return Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
             w.data(), l.out(), l.in())
      .cast<double>();
}

Matrix random_normal(int64_t rows, int64_t cols, Rng& rng) {
  Matrix m(rows, cols);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) m(i, j) = rng.normal();
  return m;
}

/// The first `cols` columns of Q in m = Q R.
Matrix orthonormal(const Matrix& m, int64_t cols) {
  return Eigen::HouseholderQR<Matrix>(m).householderQ() * Matrix::Identity(m.rows(), cols);
}

struct Principal {
  Matrix left;        // [out, r], orthonormal columns
  Eigen::VectorXd s;  // [r], falling
  Matrix right;       // [r, in]
};

/// The largest r singular triplets of w, from the eigenvectors of the smaller of w wᵀ and wᵀ w: their error
/// is 1e-16 · (s₁ / sᵢ)², nothing for those that count.
Principal principal(const Matrix& w, int64_t r) {
  const bool wide = w.rows() <= w.cols();
  const Matrix gram = wide ? Matrix(w * w.transpose()) : Matrix(w.transpose() * w);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(gram);  // eigenvalues rise
  const Matrix vectors = solver.eigenvectors().rightCols(r).rowwise().reverse();
  const Eigen::VectorXd s = solver.eigenvalues().tail(r).reverse().cwiseMax(0).cwiseSqrt();
  const Eigen::VectorXd inverse = s.unaryExpr([](double v) { return v > 0 ? 1 / v : 0.0; });
  if (wide) return {vectors, s, inverse.asDiagonal() * (vectors.transpose() * w)};
  return {w * vectors * inverse.asDiagonal(), s, vectors.transpose()};
}

/// The same in a subspace found by `iterations` passes of w wᵀ over random columns (Halko, Martinsson and
/// Tropp 2011, algorithms 4.4 and 5.1), a few more than r so that the r-th is caught well.
Principal randomised(const Matrix& w, int64_t r, int iterations, Rng& rng) {
  constexpr int64_t kMore = 8;
  const int64_t columns =
      std::min({r + kMore, static_cast<int64_t>(w.rows()), static_cast<int64_t>(w.cols())});
  Matrix q = orthonormal(w * random_normal(w.cols(), columns, rng), columns);
  for (int i = 0; i < iterations; ++i) q = orthonormal(w * orthonormal(w.transpose() * q, columns), columns);
  Principal small = principal(q.transpose() * w, r);
  small.left = q * small.left;
  return small;
}

LoraStart rounded(Matrix a, Matrix b, bool settle_signs) {
  LoraStart start;
  for (int64_t i = 0; i < a.rows(); ++i) {
    Eigen::Index largest = 0;
    a.row(i).cwiseAbs().maxCoeff(&largest);
    const double sign = settle_signs && a(i, largest) < 0 ? -1 : 1;
    for (int64_t k = 0; k < a.cols(); ++k) start.a.push_back(static_cast<float>(sign * a(i, k)));
    for (int64_t n = 0; n < b.rows(); ++n) start.b_t.push_back(static_cast<float>(sign * b(n, i)));
  }
  return start;
}

}  // namespace

LoraStart start_from_weight(const Linear& l, const LoraInit& init, int64_t rank, double scale, uint64_t seed,
                            const std::string& where) {
  if (rank > std::min(l.in(), l.out()))
    bad_input("{}: {} is [{}, {}]: it has no {} principal directions to start from; lower r", where, l.name,
              l.out(), l.in(), rank);
  const Matrix w = weight_of(l);
  if (init.kind == LoraInit::Kind::olora) {
    // The first r columns of Q come from the first r of W alone.
    const Matrix q = orthonormal(w.leftCols(rank), rank);
    return rounded(q.transpose() * w, q, true);
  }
  Rng rng(seed, l.name + ".pissa");
  const Principal p = init.iterations < 0 ? principal(w, rank) : randomised(w, rank, init.iterations, rng);
  if (!(p.s(rank - 1) > 1e-7 * p.s(0)))
    bad_input("{}: {} has a rank below {}: there are no {} directions to start PiSSA from; lower r", where,
              l.name, rank, rank);
  const Eigen::VectorXd root = (p.s / scale).cwiseSqrt();
  return rounded(root.asDiagonal() * p.right, p.left * root.asDiagonal(), true);
}

LoraStart start_orthogonal(const Linear& l, int64_t rank, uint64_t seed) {
  Rng rng(seed, l.name + ".orthogonal");
  const int64_t half = rank / 2;
  const Matrix q = orthonormal(random_normal(rank, rank, rng), rank);
  Matrix of_a(half, rank), of_b(half, rank);
  for (int64_t i = 0; i < half; ++i) {
    of_a.row(i) = q.row(2 * i);
    of_b.row(i) = q.row(2 * i + 1);
  }
  const Matrix a = (random_normal(l.in(), half, rng) * of_a).transpose() / 10;
  const Matrix b = random_normal(l.out(), half, rng) * of_b / 10;
  return rounded(a, b, false);
}

}  // namespace ft
