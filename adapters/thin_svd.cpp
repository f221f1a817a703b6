#include "adapters/thin_svd.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ft {
namespace {

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void rotate(double* a, double* b, int64_t n, double c, double s) {
  for (int64_t i = 0; i < n; ++i) {
    const double x = a[i], y = b[i];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
}

}  // namespace

std::vector<double> transposed_matrix(const std::vector<double>& m, int64_t rows, int64_t cols) {
  std::vector<double> t(m.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) t[j * rows + i] = m[i * cols + j];
  return t;
}

ThinSvd thin_svd(std::vector<double> m, int64_t rows, int64_t cols) {
  // Columns lie end to end while they turn, M's and V's alike.
  std::vector<double> columns = transposed_matrix(m, rows, cols), v(static_cast<size_t>(cols * cols), 0.0);
  for (int64_t j = 0; j < cols; ++j) v[j * cols + j] = 1;
  constexpr int kSweeps = 60;
  constexpr double kEnough = 1e-15;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    double worst = 0;
    for (int64_t p = 0; p < cols; ++p)
      for (int64_t q = p + 1; q < cols; ++q) {
        double *a = columns.data() + p * rows, *b = columns.data() + q * rows;
        const double aa = dot(a, a, rows), bb = dot(b, b, rows), ab = dot(a, b, rows);
        if (ab == 0 || std::abs(ab) <= kEnough * std::sqrt(aa * bb)) continue;
        worst = std::max(worst, std::abs(ab) / std::sqrt(aa * bb));
        const double zeta = (bb - aa) / (2 * ab),
                     t = std::copysign(1.0, zeta) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta)),
                     c = 1 / std::sqrt(1 + t * t);
        rotate(a, b, rows, c, c * t);
        rotate(v.data() + p * cols, v.data() + q * cols, cols, c, c * t);
      }
    if (worst <= kEnough) break;
  }
  std::vector<double> lengths(static_cast<size_t>(cols));
  for (int64_t j = 0; j < cols; ++j)
    lengths[j] = std::sqrt(dot(columns.data() + j * rows, columns.data() + j * rows, rows));
  std::vector<int64_t> order(static_cast<size_t>(cols));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
  ThinSvd svd{std::vector<double>(m.size(), 0.0), std::vector<double>(static_cast<size_t>(cols)),
              std::vector<double>(v.size())};
  for (int64_t j = 0; j < cols; ++j) {
    const int64_t from = order[j];
    svd.s[j] = lengths[from];
    for (int64_t i = 0; i < rows && svd.s[j] > 0; ++i)
      svd.u[i * cols + j] = columns[from * rows + i] / svd.s[j];
    for (int64_t i = 0; i < cols; ++i) svd.v[i * cols + j] = v[from * cols + i];
  }
  return svd;
}

}  // namespace ft
