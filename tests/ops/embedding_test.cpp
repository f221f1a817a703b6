#include "engine/ops/embedding.h"

#include <cstddef>

#include "tests/ops/embedding_cases.h"
#include "tests/ops/embedding_oracle.h"
#include "tests/ops/op_test.h"

namespace ft::test {
namespace {

// A table whose plain values are exactly what the storage holds, and ids that repeat.
struct Table {
  explicit Table(const EmbeddingCase& c) : spec(c), plain(random_vector<double>(c.rows * c.cols, "table")) {
    const auto bytes_of = [&]<class S>(const std::vector<S>& v) {
      packed.resize(v.size() * sizeof(S));
      std::memcpy(packed.data(), v.data(), packed.size());
    };
    for (double& v : plain) {
      if (c.storage == DType::bf16) v = to_float(to_bf16(static_cast<float>(v)));
      if (c.storage == DType::f16) v = to_float(to_f16(static_cast<float>(v)));
    }
    const auto as_float = [](double v) { return static_cast<float>(v); };
    switch (c.storage) {
      case DType::f64:
        bytes_of(packed_table<double>(plain, c.rows, c.cols, [](double v) { return v; }));
        break;
      case DType::bf16:
        bytes_of(packed_table<BF16>(plain, c.rows, c.cols,
                                    [](double v) { return to_bf16(static_cast<float>(v)); }));
        break;
      case DType::f16:
        bytes_of(
            packed_table<F16>(plain, c.rows, c.cols, [](double v) { return to_f16(static_cast<float>(v)); }));
        break;
      default:
        bytes_of(packed_table<float>(plain, c.rows, c.cols, as_float));
        break;
    }
    Rng rng(3, "ids");
    for (int64_t t = 0; t < c.tokens; ++t)
      ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint32_t>(c.rows))));
  }
  template <class T>
  EmbeddingArgs<T> args(std::vector<T>& y, bool accumulate = false) const {
    EmbeddingArgs<T> a;
    a.tokens = spec.tokens;
    a.table = {spec.storage, spec.rows, spec.cols, packed.data()};
    a.ids = ids.data();
    a.scale = static_cast<T>(spec.scale);
    a.y = y.data();
    a.accumulate = accumulate;
    return a;
  }
  EmbeddingCase spec;
  std::vector<double> plain;
  std::vector<std::byte> packed;
  std::vector<int32_t> ids;
};

class Embedding : public ::testing::TestWithParam<EmbeddingCase> {
 protected:
  template <class T>
  void check_lookup() {
    const Table table(GetParam());
    const auto expected =
        embedding_oracle<T>(table.plain, table.spec.cols, table.ids, static_cast<T>(table.spec.scale));
    const auto start = random_vector<T>(static_cast<int64_t>(expected.size()), "start");
    auto sum = start;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += expected[i];
    for (const int threads : kThreadCounts) {
      std::vector<T> y(expected.size());
      embedding(stream(threads), table.args(y));
      expect_same_bits(y, expected, "lookup");
      y = start;
      embedding(stream(threads), table.args(y, true));
      expect_same_bits(y, sum, "accumulated");
    }
  }
};

TEST_P(Embedding, looks_up_the_stored_rows_exactly) {
  check_lookup<float>();
  check_lookup<double>();
}

TEST_P(Embedding, gradient_is_the_scatter_token_by_token) {
  const EmbeddingCase& c = GetParam();
  const Table table(c);
  const auto dy = random_vector<float>(c.tokens * c.cols, "dy");
  std::vector<float> plain(static_cast<size_t>(c.rows * c.cols));
  embedding_grad_oracle(plain, c.cols, table.ids, dy, static_cast<float>(c.scale));
  const auto expected =
      packed_table<float>(widen(plain), c.rows, c.cols, [](double v) { return static_cast<float>(v); });

  EmbeddingGradArgs<float> a;
  a.tokens = c.tokens;
  a.rows = c.rows;
  a.cols = c.cols;
  a.ids = table.ids.data();
  a.dy = dy.data();
  a.scale = static_cast<float>(c.scale);
  for (const int threads : kThreadCounts) {
    std::vector<float> dtable(expected.size());
    a.dtable = dtable.data();
    embedding_grad(stream(threads), a);
    expect_same_bits(dtable, expected, "gradient");
  }
  // In two calls: the same bits.
  std::vector<float> split(expected.size());
  a.dtable = split.data();
  a.tokens = c.tokens / 3;
  embedding_grad(stream(), a);
  a.ids += a.tokens;
  a.dy += a.tokens * c.cols;
  a.tokens = c.tokens - a.tokens;
  embedding_grad(stream(), a);
  expect_same_bits(split, expected, "in two calls");
}

TEST_P(Embedding, gradient_is_the_adjoint_of_the_lookup) {
  const EmbeddingCase& c = GetParam();
  if (c.storage != DType::f64) return;
  // The lookup is linear: <lookup(E), dy> = <E, gradient(dy)>.
  const Table table(c);
  std::vector<double> y(static_cast<size_t>(c.tokens * c.cols));
  embedding(stream(), table.args(y));
  const auto dy = random_vector<double>(c.tokens * c.cols, "dy");
  std::vector<double> dtable(static_cast<size_t>(packed_elements(c.rows, c.cols)));
  EmbeddingGradArgs<double> a;
  a.tokens = c.tokens;
  a.rows = c.rows;
  a.cols = c.cols;
  a.ids = table.ids.data();
  a.dy = dy.data();
  a.scale = c.scale;
  a.dtable = dtable.data();
  embedding_grad(stream(), a);
  const auto packed = packed_table<double>(table.plain, c.rows, c.cols, [](double v) { return v; });
  EXPECT_NEAR(dot(y, dy), dot(packed, dtable), 1e-12 * static_cast<double>(y.size()));
}

INSTANTIATE_TEST_SUITE_P(Cases, Embedding, ::testing::ValuesIn(embedding_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(EmbeddingErrors, a_table_of_integers_is_refused) {
  const EmbeddingCase c{"", 1, 1, 1, DType::f32, 1};
  const Table table(c);
  std::vector<float> y(1);
  auto a = table.args(y);
  a.table.dtype = DType::i32;
  EXPECT_THROW(embedding(stream(), a), Error);
}

}  // namespace
}  // namespace ft::test
