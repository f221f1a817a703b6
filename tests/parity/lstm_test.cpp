// A bidirectional LSTM of two layers over two sequences, and its gradients, against PyTorch's nn.LSTM
// (tools/fixtures/make_lstm.py), in double.
#include "engine/ops/lstm.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/parity/fixture.h"

namespace ft::test {
namespace {

constexpr int64_t kHidden = 7;
constexpr double kDouble = 1e-6;  // the file is float32

class LstmParity : public testing::Test {
 protected:
  SafetensorsFile file_{std::filesystem::path(FT_SOURCE_DIR) / "tests/fixtures/lstm.safetensors"};
  ThreadPool pool_{2};
  CpuStream host_{pool_};
  std::map<std::string, Parameter> parameters_;

  Parameter* parameter(const std::string& name) {
    const auto dims = file_.find(name)->shape;
    const Shape shape = dims.size() == 2 ? Shape{dims[0], dims[1]} : Shape{dims[0]};
    Parameter& p = parameters_[name] = Parameter::make(
        name, shape, dims.size() == 2 ? Parameter::Layout::packed : Parameter::Layout::plain, DType::f64);
    from_plain(p, read_tensor(file_, name));
    p.train(DType::f64);
    return &p;
  }
  Tensor tensor(const std::string& name) const {
    const std::vector<float> values = read_tensor(file_, name);
    const auto shape = file_.find(name)->shape;
    const Tensor t = Tensor::empty({shape[0], shape[1]}, DType::f64);
    std::copy(values.begin(), values.end(), t.data<double>());
    return t;
  }
};

TEST_F(LstmParity, ValuesAndGradientsArePyTorchs) {
  auto layout = std::make_shared<Layout>();
  layout->add_sample(6, 0);
  layout->add_sample(3, 1);
  Stream stream(host_);
  Tape tape(stream, DType::f64, layout, true);
  const Var x(tensor("x"), true);
  Var y = x;
  for (const char* layer : {"l0", "l1"}) {
    std::vector<LstmDirection> directions;
    for (const std::string end : {"", "_reverse"})
      directions.push_back({parameter(std::string("weight_ih_") + layer + end),
                            parameter(std::string("weight_hh_") + layer + end),
                            parameter(std::string("bias_ih_") + layer + end),
                            parameter(std::string("bias_hh_") + layer + end)});
    y = lstm_layer(tape, y, directions);
  }
  EXPECT_EQ(y.value().dim(1), 2 * kHidden);
  EXPECT_LT(relative_distance(y.value().to_vector<double>(), read_tensor(file_, "y")), kDouble);
  y.gradient().add(stream, tensor("dy"));
  tape.backward();
  EXPECT_LT(relative_distance(x.gradient().sum().to_vector<double>(), read_tensor(file_, "dx")), kDouble);
  EXPECT_EQ(parameters_.size(), 16u);
  for (const auto& [name, p] : parameters_)
    EXPECT_LT(relative_distance(grad_to_plain(p), read_tensor(file_, "grad." + name)), kDouble) << name;
}

}  // namespace
}  // namespace ft::test
