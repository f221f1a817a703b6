// Singular values of tall, thin matrices (a few hundred columns), by one-sided Jacobi rotations (Hestenes
// 1958): slow, plain and accurate, for what is done once and not in a step.
#pragma once

#include <cstdint>
#include <vector>

namespace ft {

struct ThinSvd {
  std::vector<double> u, s, v;  // M = U diag(s) Vᵀ; [rows, cols], [cols] falling, [cols, cols]
};

/// `m` [rows, cols] row-major. A column of U whose singular value is 0 is 0.
ThinSvd thin_svd(std::vector<double> m, int64_t rows, int64_t cols);

/// [rows, cols] → [cols, rows].
std::vector<double> transposed_matrix(const std::vector<double>& m, int64_t rows, int64_t cols);

}  // namespace ft
