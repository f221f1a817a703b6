// What every method of the LoRA family promises beside PEFT's numbers: it starts at the base where it says
// so, switched off it is the base bit for bit, and DoRA's dropout is PEFT's.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "engine/ops/elementwise.h"
#include "tests/parity/fixture.h"

namespace ft::test {
namespace {

class LoraFamilyStart : public testing::TestWithParam<std::string> {};

TEST_P(LoraFamilyStart, IsTheBaseAndOffIsTheBaseToTheBit) {
  for (const char* name : {"gpt2_c_attn", "qwen2_tied"}) {
    Fixture plain(name, DType::f32, 2, {"adapter={peft_type: NONE}"});
    Fixture f(name, DType::f32, 2, {"adapter={" + GetParam() + "}"});
    const DataRow& row = f.train_rows.rows[0];
    const std::vector<double> want = plain.logits(row), got = f.logits(row);
    double largest = 0, difference = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      largest = std::max(largest, std::abs(want[i]));
      difference = std::max(difference, std::abs(want[i] - got[i]));
    }
    EXPECT_LE(difference, 1e-5 * largest) << name;
    f.adapter->set_active(false);
    EXPECT_EQ(f.logits(row), want) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Methods, LoraFamilyStart,
    testing::Values("peft_type: LORA, use_dora: true", "peft_type: LORA, init_lora_weights: pissa, r: 4",
                    "peft_type: LORA, init_lora_weights: pissa_niter_3, r: 4",
                    "peft_type: LORA, init_lora_weights: olora, r: 4",
                    "peft_type: LORA, init_lora_weights: orthogonal, r: 4",
                    "peft_type: LORA, use_dora: true, init_lora_weights: orthogonal, r: 4, bias: all",
                    "peft_type: ADALORA", "peft_type: VERA, r: 16", "peft_type: LOHA, r: 3",
                    "peft_type: LOKR, r: 2", "peft_type: LOKR, init_weights: lycoris, decompose_both: true"));

// y = W x + b + (m / n − 1) W d + (m / n) s B A d with d = dropout(x): PEFT drops from the input of W too,
// where something differs from W x. And the gradients of x, m and b by central differences, the norms held.
TEST(DoraDropout, IsThatOfPeft) {
  Fixture f("qwen2_tied", DType::f64, 1,
            {"adapter={peft_type: LORA, use_dora: true, init_lora_weights: false, r: 3, lora_dropout: 0.4, "
             "target_modules: [q_proj]}"});
  const Linear& l = *f.model().linears()[0];
  const int64_t tokens = 5, in = l.in(), out = l.out();
  std::vector<Parameter*> parameters = f.adapter->trainables();  // A, B, m of each layer
  Parameter &a = *parameters[0], &b_t = *parameters[1], &m = *parameters[2];
  std::vector<float> moved = to_plain(m);
  for (size_t i = 0; i < moved.size(); ++i) moved[i] *= 1 + 0.1f * static_cast<float>(i % 3);
  from_plain(m, moved);

  auto layout = std::make_shared<Layout>();
  layout->add_sample(tokens, 2);
  const Tensor x = Tensor::empty({tokens, in}, DType::f64), dy = Tensor::empty({tokens, out}, DType::f64);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] = std::sin(1.7 * static_cast<double>(i));
  for (int64_t i = 0; i < dy.numel(); ++i) dy.data<double>()[i] = std::cos(0.9 * static_cast<double>(i));

  constexpr uint64_t kKey = 99;
  Adapter* const all[] = {f.adapter.get()};
  AdapterStep around(f.model(), all, f.stream, DType::f64,
                     {.training = true, .dropout_key = kKey, .total_steps = 1});
  const auto forward = [&](Tape& tape, const Var& input) {
    Forward pass{.tape = tape, .training = true, .dropout_key = kKey};
    return l(pass, input);
  };
  Tape tape(f.stream, DType::f64, layout, true);
  const Var input(x.clone(MemoryClass::activations), true), y = forward(tape, input);

  const Var dropped = dropout(tape, Var(x), 0.4f, kKey, 1u << 16);
  const double* d = dropped.value().data<double>();
  const std::vector<float> w = to_plain(*l.weight.parameter), bias = to_plain(*l.bias.parameter);
  const double scale = 8.0 / 3;
  for (int64_t n = 0; n < out; ++n) {
    double norm = 0;
    std::vector<double> v(static_cast<size_t>(in));
    for (int64_t k = 0; k < in; ++k) {
      for (int64_t i = 0; i < 3; ++i)
        v[k] += scale * b_t.value.data<double>()[i * out + n] * a.value.data<double>()[i * in + k];
      norm += std::pow(w[n * in + k] + v[k], 2);
    }
    const double c = moved[n] / std::sqrt(norm);
    for (int64_t t = 0; t < tokens; ++t) {
      double want = bias[n];
      for (int64_t k = 0; k < in; ++k)
        want += w[n * in + k] * x.data<double>()[t * in + k] + (c - 1) * w[n * in + k] * d[t * in + k] +
                c * v[k] * d[t * in + k];
      EXPECT_NEAR(y.value().data<double>()[t * out + n], want, 1e-6) << t << ", " << n;
    }
  }

  y.gradient().add(f.stream, dy);
  tape.backward();
  around.finish();
  const auto loss = [&] {
    Tape again(f.stream, DType::f64, layout, false);
    const Tensor value = forward(again, Var(x)).value();
    return std::inner_product(value.data<double>(), value.data<double>() + value.numel(), dy.data<double>(),
                              0.0);
  };
  const auto expect_slope = [&](double& at, double got, const char* what) {
    constexpr double kStep = 1e-5;
    const double kept = at;
    at = kept + kStep;
    const double up = loss();
    at = kept - kStep;
    const double down = loss();
    at = kept;
    EXPECT_NEAR(got, (up - down) / (2 * kStep), 1e-7) << what;
  };
  for (int64_t i = 0; i < x.numel(); i += 13)
    expect_slope(x.data<double>()[i], input.gradient().sum().data<double>()[i], "x");
  for (int64_t i = 0; i < a.numel(); i += 7)
    expect_slope(a.value.data<double>()[i], a.grad.data<double>()[i], "A");
  for (int64_t i = 0; i < b_t.numel(); i += 11)
    expect_slope(b_t.value.data<double>()[i], b_t.grad.data<double>()[i], "B");
}

}  // namespace
}  // namespace ft::test
