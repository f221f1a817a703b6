// CUDA: the cell of an LSTM, as exact as the plain loop.
#include "engine/ops/lstm.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/lstm_cases.h"
#include "tests/ops/lstm_oracle.h"

namespace ft::test {
namespace {

class CudaLstmCell : public ::testing::TestWithParam<LstmCellCase> {
 protected:
  template <class T>
  static void check(int64_t skip) {
    const LstmCellCase& c = GetParam();
    const auto size = static_cast<size_t>(c.hidden);
    LstmCellBuffers<float> plain;
    plain.sums = random_inputs<T>(4 * c.hidden, "sums");
    if (!c.first) plain.c_before = random_vector<float>(c.hidden, "c");
    plain.dh = random_inputs<T>(c.hidden, "dh");
    plain.dc = random_vector<float>(c.hidden, "dc");
    LstmCellBuffers<double> exact;
    exact.sums = widen(plain.sums);
    exact.c_before = widen(plain.c_before);
    exact.dh = widen(plain.dh);
    exact.dc = widen(plain.dc);
    lstm_cell_oracle(plain, size);
    lstm_cell_oracle(exact, size);

    DeviceVector<T> gates(as_type<T>(plain.sums), skip), h(c.hidden, skip), dgates(4 * c.hidden, skip);
    const DeviceVector<T> dh(as_type<T>(plain.dh), skip);
    const DeviceVector<float> before(plain.c_before, skip);
    DeviceVector<float> state(c.hidden, skip), dc(plain.dc, skip);
    const float* c_before = c.first ? nullptr : before.data();
    lstm_cell(cuda_stream(), LstmCellArgs<T>{c.hidden, gates.data(), c_before, state.data(), h.data()});
    expect_earned_as(gates.host(), plain.gates, exact.gates, 4);
    expect_earned(state.host(), plain.c, exact.c, 4);
    expect_earned_as(h.host(), plain.h, exact.h, 4);
    // The gradient reads gates as they are stored: the exact ones, rounded to T, on both sides.
    gates.upload(as_type<T>(plain.gates));
    state.upload(plain.c);
    lstm_cell_grad(cuda_stream(), LstmCellGradArgs<T>{c.hidden, gates.data(), c_before, state.data(),
                                                      dh.data(), dc.data(), dgates.data()});
    if constexpr (std::is_same_v<T, float>) {
      expect_earned(dgates.host(), plain.dgates, exact.dgates, 4);
      expect_earned(dc.host(), plain.dc_before, exact.dc_before, 4);
    } else {  // rounded gates: eight bits of each factor
      const auto got = dgates.host();
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(to_float(got[i]), exact.dgates[i], 0.02 * max_abs(exact.dgates)) << i;
    }
  }
};

TEST_P(CudaLstmCell, float32_is_as_exact_as_the_plain_loop) {
  check<float>(0);
  check<float>(1);
}
TEST_P(CudaLstmCell, sixteen_bits_are_rounded_once) {
  check<BF16>(0);
  check<BF16>(1);
  check<F16>(1);
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaLstmCell, ::testing::ValuesIn(lstm_cell_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ft::test
