// The linear map with low-rank terms on the CPU: exact in double against plain loops, float32 within their
// error, the same bits for any threads. (Its oracle's gradients are those of its own forward: the last test.)
#include "tests/ops/low_rank_linear_cases.h"

namespace ft::test {
namespace {

template <class T>
LowRankLinearResults on_cpu(const LowRankLinearData& d, int threads = 1) {
  const LowRankLinearCase& c = d.c;
  const int64_t tokens = c.tokens(), K = c.inputs, N = c.outputs;
  const auto as = [](const std::vector<float>& v) { return std::vector<T>(v.begin(), v.end()); };
  std::vector<T> packed(static_cast<size_t>(packed_elements(N, K)));
  for (int64_t n = 0; n < N; ++n)
    for (int64_t k = 0; k < K; ++k)
      packed[static_cast<size_t>(packed_index(n, k, K))] =
          static_cast<T>(d.w[static_cast<size_t>(n * K + k)]);
  const std::vector<T> x = as(d.x), bias = as(d.bias), dy = as(d.dy);
  std::vector<T> y(static_cast<size_t>(tokens * N), 7), dx = as(d.dx);
  std::vector<std::vector<T>> a, b_t, u, du, da, db_t;
  for (size_t i = 0; i < c.ranks.size(); ++i) {
    a.push_back(as(d.a[i]));
    b_t.push_back(as(d.b_t[i]));
    u.emplace_back(static_cast<size_t>(tokens * c.ranks[i]));
    du.push_back(u.back());
    da.emplace_back(a.back().size());
    db_t.emplace_back(b_t.back().size());
  }
  std::vector<LowRankTermArgs<T>> terms;
  for (size_t i = 0; i < c.ranks.size(); ++i)
    terms.push_back({c.ranks[i], a[i].data(), b_t[i].data(), static_cast<T>(LowRankLinearData::kScale[i]),
                     d.dropout(i), 77, 5, u[i].data(), du[i].data(), da[i].data(), db_t[i].data()});
  const PackedView w{dtype_of<T>, N, K, packed.data()};
  low_rank_linear(stream(threads), LowRankLinearArgs<T>{tokens, w, x.data(), c.bias ? bias.data() : nullptr,
                                                        y.data(), d.row.data(), d.position.data(), terms});
  low_rank_linear_grad(stream(threads),
                       LowRankLinearGradArgs<T>{segments_of(d.bounds), w, x.data(), dy.data(), dx.data(),
                                                c.accumulate, d.row.data(), d.position.data(), terms});
  LowRankLinearResults r;
  r.y = widen(y);
  r.dx = widen(dx);
  for (size_t i = 0; i < c.ranks.size(); ++i) {
    r.u.push_back(widen(u[i]));
    r.da.push_back(widen(da[i]));
    r.db_t.push_back(widen(db_t[i]));
  }
  return r;
}

TEST(LowRankLinear, IsItsFormulaForwardAndBackward) {
  for (const LowRankLinearCase& c : low_rank_linear_cases()) {
    SCOPED_TRACE(c.name());
    const LowRankLinearData d(c);
    const LowRankLinearResults reference = low_rank_linear_oracle<double>(d),
                               plain = low_rank_linear_oracle<float>(d);
    for_each_target([&] {
      const LowRankLinearResults exact = on_cpu<double>(d), got = on_cpu<float>(d);
      const auto references = all_of(reference), plains = all_of(plain), exacts = all_of(exact),
                 gots = all_of(got);
      for (size_t i = 0; i < references.size(); ++i) {
        const auto& [name, want] = references[i];
        // 1/(1 − p) is rounded to float32 in the kernels' rule of dropout for float32 only.
        EXPECT_LE(max_error(*exacts[i].second, *want), 1e-13 * (1 + max_abs(*want))) << name;
        EXPECT_LE(max_error(*gots[i].second, *want),
                  2 * max_error(*plains[i].second, *want) + 0x1p-22 * max_abs(*want))
            << name;
      }
      for (const int threads : kThreadCounts) {
        const LowRankLinearResults more = on_cpu<float>(d, threads);
        const auto mores = all_of(more);
        for (size_t i = 0; i < mores.size(); ++i)
          expect_same_bits(*mores[i].second, *gots[i].second, mores[i].first);
      }
    });
  }
}

TEST(LowRankLinear, BackwardIsTheGradientOfForward) {
  const LowRankLinearCase c{{4, 5}, 9, 7, {3, 2}, 0.4f, true};
  LowRankLinearData d(c);
  const LowRankLinearResults analytic = on_cpu<double>(d);
  const auto loss = [&] { return dot(on_cpu<double>(d).y, std::vector<double>(d.dy.begin(), d.dy.end())); };
  // Operands are float32, so steps are powers of two that they hold exactly; the map is bilinear at most.
  const auto check = [&](std::vector<float>& v, const std::vector<double>& gradient) {
    for (size_t i = 0; i < v.size(); ++i) {
      const float kept = v[i];
      v[i] = kept + 0x1p-4f;
      const double up = loss();
      v[i] = kept - 0x1p-4f;
      const double down = loss();
      v[i] = kept;
      EXPECT_NEAR(gradient[i], (up - down) * 8, 1e-10 * (1 + max_abs(gradient))) << "element " << i;
    }
  };
  check(d.x, analytic.dx);
  check(d.a[0], analytic.da[0]);
  check(d.b_t[0], analytic.db_t[0]);
  check(d.a[1], analytic.da[1]);
  check(d.b_t[1], analytic.db_t[1]);
}

}  // namespace
}  // namespace ft::test
