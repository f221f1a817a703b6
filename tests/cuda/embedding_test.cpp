// CUDA: lookup and scatter gradient, with the bits of the plain loops that the CPU's kernels have too.
#include "engine/ops/embedding.h"

#include "tests/cuda/bf16.h"
#include "tests/cuda/device_vector.h"
#include "tests/ops/embedding_cases.h"
#include "tests/ops/embedding_oracle.h"

namespace ft::test {
namespace {

std::vector<int32_t> random_ids(const EmbeddingCase& c) {
  Rng rng(3, "ids");
  std::vector<int32_t> ids;
  for (int64_t t = 0; t < c.tokens; ++t)
    ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(c.rows))));
  return ids;
}

template <class S, class T>
void check_lookup(const EmbeddingCase& c, int64_t skip) {
  const DeviceIndex ids(random_ids(c));
  std::vector<S> table;
  std::vector<double> plain;
  for (const float v : random_vector<float>(c.rows * c.cols, "table")) {
    table.push_back(to_type<S>(v));
    plain.push_back(static_cast<double>(to_float(table.back())));
  }
  const auto scale = static_cast<float>(c.scale);
  const auto expected = embedding_oracle<float>(plain, c.cols, random_ids(c), scale);
  const auto start = random_inputs<T>(c.tokens * c.cols, "start");
  auto sum = start;
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += expected[i];

  const DeviceVector<S> device_table(table, skip);
  DeviceVector<T> y(c.tokens * c.cols, skip);
  EmbeddingArgs<T> a;
  a.tokens = c.tokens;
  a.table = {dtype_of<S>, c.rows, c.cols, device_table.data()};
  a.ids = ids.view();
  a.scale = scale;
  a.y = y.data();
  embedding(cuda_stream(), a);
  expect_same_bits(y.host(), as_type<T>(expected), "lookup");
  y.upload(as_type<T>(start));
  a.accumulate = true;
  embedding(cuda_stream(), a);
  expect_same_bits(y.host(), as_type<T>(sum), "added");
}

template <class T>
void check_gradient(const EmbeddingCase& c, const std::vector<int32_t>& host_ids, int64_t skip) {
  const DeviceIndex ids(host_ids);
  const auto dy = random_inputs<T>(c.tokens * c.cols, "dy");
  auto expected = random_vector<float>(c.rows * c.cols, "dtable");
  DeviceVector<float> dtable(expected, skip);
  embedding_grad_oracle(expected, c.cols, host_ids, dy, static_cast<float>(c.scale));

  const DeviceVector<T> device_dy(as_type<T>(dy), skip);
  EmbeddingGradArgs<T> a;
  a.tokens = c.tokens;
  a.rows = c.rows;
  a.cols = c.cols;
  a.ids = ids.view();
  a.dy = device_dy.data();
  a.scale = static_cast<float>(c.scale);
  a.dtable = dtable.data();
  embedding_grad(cuda_stream(), a);
  expect_same_bits(dtable.host(), expected, "gradient");
}

class CudaEmbedding : public ::testing::TestWithParam<EmbeddingCase> {
 protected:
  template <class T>
  static void lookup(int64_t skip) {
    switch (GetParam().storage) {
      case DType::bf16:
        return check_lookup<BF16, T>(GetParam(), skip);
      case DType::f16:
        return check_lookup<F16, T>(GetParam(), skip);
      default:
        return check_lookup<float, T>(GetParam(), skip);
    }
  }
};

// The case of a float64 table runs as float32: the device has no float64.
TEST_P(CudaEmbedding, lookup_is_the_plain_loop_bit_for_bit) {
  lookup<float>(0);
  lookup<BF16>(0);
  lookup<BF16>(1);
  lookup<F16>(1);
}

TEST_P(CudaEmbedding, gradient_is_added_token_by_token_in_order) {
  check_gradient<float>(GetParam(), random_ids(GetParam()), 0);
  check_gradient<BF16>(GetParam(), random_ids(GetParam()), 0);
  check_gradient<F16>(GetParam(), random_ids(GetParam()), 0);
  check_gradient<float>(GetParam(), random_ids(GetParam()), 1);
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaEmbedding, ::testing::ValuesIn(embedding_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaEmbeddingGradient, one_id_everywhere_no_id_twice_and_repeats_a_warp_apart) {
  const EmbeddingCase c{"", 100, 128, 20, DType::f32, 1};
  std::vector<int32_t> same(100, 7), apart, far;
  for (int32_t t = 0; t < 100; ++t) {
    apart.push_back(127 - t);
    far.push_back(t % 33);
  }
  check_gradient<float>(c, same, 0);
  check_gradient<float>(c, apart, 0);
  check_gradient<float>(c, far, 0);
}

TEST(CudaEmbeddingErrors, tables_that_the_device_does_not_read_are_refused) {
  EmbeddingArgs<float> a;
  for (const DType type : {DType::i32, DType::f64}) {
    a.table.dtype = type;
    EXPECT_THROW(embedding(cuda_stream(), a), Error);
  }
}

}  // namespace
}  // namespace ft::test
