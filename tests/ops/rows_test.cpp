#include "engine/ops/rows.h"

#include "tests/ops/op_test.h"
#include "tests/ops/rows_cases.h"

namespace ft::test {
namespace {

template <class T>
struct CopyRun {
  explicit CopyRun(const CopyRowsCase& c)
      : spec(c), x(random_vector<T>(c.rows_x * c.ldx, "x")), y(random_vector<T>(c.rows_y * c.ldy, "y")) {}
  CopyRowsArgs<T> args() {
    CopyRowsArgs<T> a;
    a.count = spec.count;
    a.cols = spec.cols;
    a.x = x.data();
    a.ldx = spec.ldx;
    a.y = y.data();
    a.ldy = spec.ldy;
    if (!spec.from.empty()) a.from = spec.from.data();
    if (!spec.to.empty()) a.to = spec.to.data();
    return a;
  }
  /// Element by element. What is not named keeps its value.
  void oracle() {
    for (int64_t i = 0; i < spec.count; ++i) {
      const auto at = static_cast<size_t>(i);
      const int64_t from = spec.from.empty() ? i : spec.from[at], to = spec.to.empty() ? i : spec.to[at];
      for (int64_t c = 0; c < spec.cols; ++c)
        y[static_cast<size_t>(to * spec.ldy + c)] = x[static_cast<size_t>(from * spec.ldx + c)];
    }
  }
  const CopyRowsCase& spec;
  std::vector<T> x, y;
};

class CopyRows : public ::testing::TestWithParam<CopyRowsCase> {
 protected:
  template <class T>
  void check() {
    CopyRun<T> expected(GetParam());
    expected.oracle();
    for (const int threads : kThreadCounts) {
      CopyRun<T> got(GetParam());
      copy_rows(stream(threads), got.args());
      expect_same_bits(got.y, expected.y, "y");
    }
  }
};

TEST_P(CopyRows, copies_the_named_rows_and_nothing_else) {
  check<float>();
  check<double>();
}

INSTANTIATE_TEST_SUITE_P(Cases, CopyRows, ::testing::ValuesIn(copy_rows_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ft::test
