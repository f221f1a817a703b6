// Cases of the linear map with low-rank terms, and its operands; AdaptedLinear runs one on any stream.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "engine/ops/low_rank_linear.h"
#include "tests/ops/op_test.h"

namespace ft::test {

struct LowRankLinearCase {
  std::vector<int32_t> samples;  // their lengths
  int64_t inputs, outputs;
  std::vector<int64_t> ranks;
  float dropout = 0;  // of the first term; the second has none
  bool bias = false, accumulate = false;

  int64_t tokens() const { return bounds_of(samples).back(); }
  std::string name() const {
    return fmt::format("T{} K{} N{} r{} p{}{}{}", tokens(), inputs, outputs, fmt::join(ranks, "_"), dropout,
                       bias ? " bias" : "", accumulate ? " accumulate" : "");
  }
};

inline const std::vector<LowRankLinearCase>& low_rank_linear_cases() {
  static const std::vector<LowRankLinearCase> cases = {
      {{3}, 8, 5, {}, 0, true},
      {{1}, 9, 7, {2}},
      {{5, 0, 8}, 33, 20, {4}, 0, true, true},
      {{7, 6}, 16, 24, {8}, 0.3f, true},
      {{4, 20}, 37, 18, {3}, 0.5f, false, true},
      {{9, 60, 1}, 40, 66, {16, 5}, 0, true},
      {{2, 11}, 24, 36, {5, 3}, 0.1f, true, true},
      {{12}, 20, 16, {24}, 0, false},
      {{10}, 12, 16, {4}, 1, true},
  };
  return cases;
}

/// Operands in plain row-major float32; every number is one of bfloat16, so that all types start equal.
struct LowRankLinearData {
  LowRankLinearCase c;
  std::vector<int32_t> bounds, row, position;
  std::vector<float> x, w, bias, dy, dx;
  std::vector<std::vector<float>> a, b_t;
  static constexpr double kScale[] = {0.5, -2};

  explicit LowRankLinearData(const LowRankLinearCase& c_) : c(c_), bounds(bounds_of(c.samples)) {
    const int64_t T = c.tokens(), K = c.inputs, N = c.outputs;
    const auto draw = [](int64_t n, std::string_view name) {
      auto v = random_vector<float>(n, name);
      for (float& e : v) e = to_float(to_bf16(e));
      return v;
    };
    x = draw(T * K, "x");
    w = draw(N * K, "w");
    bias = draw(N, "bias");
    dy = draw(T * N, "dy");
    dx = draw(T * K, "dx");
    for (size_t i = 0; i < c.ranks.size(); ++i) {
      a.push_back(draw(c.ranks[i] * K, fmt::format("a{}", i)));
      b_t.push_back(draw(c.ranks[i] * N, fmt::format("b{}", i)));
    }
    for (size_t s = 0; s < c.samples.size(); ++s)
      for (int32_t t = 0; t < c.samples[s]; ++t) {
        row.push_back(static_cast<int32_t>(s) + 3);
        position.push_back(t);
      }
  }
  float dropout(size_t term) const { return term == 0 ? c.dropout : 0; }
};

struct LowRankLinearResults {
  std::vector<double> y, dx;
  std::vector<std::vector<double>> u, da, db_t;
};

/// The case in plain loops over Acc. Dropout by the rule of engine/core/rng.h.
template <class Acc>
LowRankLinearResults low_rank_linear_oracle(const LowRankLinearData& d) {
  const LowRankLinearCase& c = d.c;
  const int64_t T = c.tokens(), K = c.inputs, N = c.outputs;
  const auto at = [](const auto& v, int64_t i) { return static_cast<Acc>(v[static_cast<size_t>(i)]); };
  LowRankLinearResults r;
  std::vector<Acc> y(static_cast<size_t>(T * N)), dx(static_cast<size_t>(T * K));
  for (int64_t t = 0; t < T; ++t)
    for (int64_t n = 0; n < N; ++n) {
      Acc sum = c.bias ? at(d.bias, n) : 0;
      for (int64_t k = 0; k < K; ++k) sum += at(d.x, t * K + k) * at(d.w, n * K + k);
      y[static_cast<size_t>(t * N + n)] = sum;
    }
  for (int64_t t = 0; t < T; ++t)
    for (int64_t k = 0; k < K; ++k) {
      Acc sum = c.accumulate ? at(d.dx, t * K + k) : 0;
      for (int64_t n = 0; n < N; ++n) sum += at(d.dy, t * N + n) * at(d.w, n * K + k);
      dx[static_cast<size_t>(t * K + k)] = sum;
    }
  for (size_t i = 0; i < c.ranks.size(); ++i) {
    const int64_t R = c.ranks[i];
    const auto scale = static_cast<Acc>(LowRankLinearData::kScale[i]);
    const float p = d.dropout(i);
    const auto mask = [&](int64_t t, int64_t k) -> Acc {
      if (p == 0) return 1;
      const Philox4 bits = dropout_bits(77, 5, static_cast<uint32_t>(d.row[static_cast<size_t>(t)]),
                                        static_cast<uint32_t>(d.position[static_cast<size_t>(t)]),
                                        static_cast<uint32_t>(k / 4));
      return unit_float(bits[static_cast<size_t>(k % 4)]) >= p
                 ? static_cast<Acc>(1 / (1 - static_cast<double>(p)))
                 : 0;
    };
    std::vector<Acc> u(static_cast<size_t>(T * R)), du(u.size()), da(static_cast<size_t>(R * K)),
        db_t(static_cast<size_t>(R * N));
    for (int64_t t = 0; t < T; ++t)
      for (int64_t q = 0; q < R; ++q) {
        Acc sum = 0, back = 0;
        for (int64_t k = 0; k < K; ++k) sum += mask(t, k) * at(d.x, t * K + k) * at(d.a[i], q * K + k);
        for (int64_t n = 0; n < N; ++n) back += at(d.dy, t * N + n) * at(d.b_t[i], q * N + n);
        u[static_cast<size_t>(t * R + q)] = sum;
        du[static_cast<size_t>(t * R + q)] = scale * back;
      }
    for (int64_t t = 0; t < T; ++t)
      for (int64_t q = 0; q < R; ++q) {
        for (int64_t k = 0; k < K; ++k) {
          da[static_cast<size_t>(q * K + k)] += at(du, t * R + q) * mask(t, k) * at(d.x, t * K + k);
          dx[static_cast<size_t>(t * K + k)] += mask(t, k) * at(du, t * R + q) * at(d.a[i], q * K + k);
        }
        for (int64_t n = 0; n < N; ++n) {
          db_t[static_cast<size_t>(q * N + n)] += scale * at(u, t * R + q) * at(d.dy, t * N + n);
          y[static_cast<size_t>(t * N + n)] += scale * at(u, t * R + q) * at(d.b_t[i], q * N + n);
        }
      }
    const auto widened = [](const std::vector<Acc>& v) { return std::vector<double>(v.begin(), v.end()); };
    r.u.push_back(widened(u));
    r.da.push_back(widened(da));
    r.db_t.push_back(widened(db_t));
  }
  r.y.assign(y.begin(), y.end());
  r.dx.assign(dx.begin(), dx.end());
  return r;
}

/// Every result with its name.
inline std::vector<std::pair<std::string, const std::vector<double>*>> all_of(const LowRankLinearResults& r) {
  std::vector<std::pair<std::string, const std::vector<double>*>> all = {{"y", &r.y}, {"dx", &r.dx}};
  for (size_t i = 0; i < r.u.size(); ++i) {
    all.emplace_back(fmt::format("u{}", i), &r.u[i]);
    all.emplace_back(fmt::format("da{}", i), &r.da[i]);
    all.emplace_back(fmt::format("db_t{}", i), &r.db_t[i]);
  }
  return all;
}

}  // namespace ft::test
