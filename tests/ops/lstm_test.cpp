// The cell of an LSTM: against the plain loop, and its gradient against central differences. The whole layer
// is compared with PyTorch's in tests/parity/lstm_test.cpp.
#include "engine/ops/lstm.h"

#include "tests/ops/lstm_cases.h"
#include "tests/ops/lstm_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

template <class T>
LstmCellBuffers<T> inputs(const LstmCellCase& c) {
  return {.sums = random_vector<T>(4 * c.hidden, "sums"),
          .c_before = c.first ? std::vector<T>() : random_vector<T>(c.hidden, "c"),
          .dh = random_vector<T>(c.hidden, "dh"),
          .dc = random_vector<T>(c.hidden, "dc"),
          .gates = {},
          .c = {},
          .h = {},
          .dgates = {},
          .dc_before = {}};
}

template <class T>
void run(LstmCellBuffers<T>& b, int64_t hidden, int threads = 1) {
  const auto size = static_cast<size_t>(hidden);
  b.gates = b.sums;
  b.c.resize(size);
  b.h.resize(size);
  b.dgates.resize(4 * size);
  b.dc_before = b.dc;
  const T* before = b.c_before.empty() ? nullptr : b.c_before.data();
  lstm_cell(stream(threads), LstmCellArgs<T>{hidden, b.gates.data(), before, b.c.data(), b.h.data()});
  lstm_cell_grad(stream(threads), LstmCellGradArgs<T>{hidden, b.gates.data(), before, b.c.data(), b.dh.data(),
                                                      b.dc_before.data(), b.dgates.data()});
}

class LstmCell : public testing::TestWithParam<LstmCellCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, LstmCell, testing::ValuesIn(lstm_cell_cases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(LstmCell, IsAsExactAsThePlainLoop) {
  const auto hidden = static_cast<size_t>(GetParam().hidden);
  auto got = inputs<float>(GetParam()), plain = got;
  auto exact = inputs<double>(GetParam());
  run(got, GetParam().hidden);
  lstm_cell_oracle(plain, hidden);
  lstm_cell_oracle(exact, hidden);
  expect_earned(got.gates, plain.gates, exact.gates);
  expect_earned(got.c, plain.c, exact.c);
  expect_earned(got.h, plain.h, exact.h);
  expect_earned(got.dgates, plain.dgates, exact.dgates);
  expect_earned(got.dc_before, plain.dc_before, exact.dc_before);
}

// The loss is Σ h·dh + Σ c·dc: what the step behind would send back.
TEST_P(LstmCell, GradientMatchesCentralDifferences) {
  auto b = inputs<double>(GetParam());
  run(b, GetParam().hidden);
  const auto dsums = b.dgates, dc_before = b.dc_before;
  const auto loss = [&] {
    run(b, GetParam().hidden);
    return dot(b.h, b.dh) + dot(b.c, b.dc);
  };
  expect_gradient(b.sums, loss, dsums);
  if (!GetParam().first) expect_gradient(b.c_before, loss, dc_before);
}

TEST_P(LstmCell, BitsDoNotDependOnThreads) {
  auto one = inputs<float>(GetParam());
  run(one, GetParam().hidden);
  for (const int threads : kThreadCounts) {
    auto more = inputs<float>(GetParam());
    run(more, GetParam().hidden, threads);
    expect_same_bits(one.h, more.h, "h");
    expect_same_bits(one.dgates, more.dgates, "dgates");
  }
}

}  // namespace
}  // namespace ft::test
