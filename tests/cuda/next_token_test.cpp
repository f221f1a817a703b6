// The device's choice of a token: the CPU's from the same logits, for every setting.
#include "engine/ops/sampling.h"

#include "tests/cuda/next_token_cases.h"

namespace ft::test {
namespace {

template <class T>
class CudaNextToken : public testing::Test {};
using Types = testing::Types<float, BF16>;
TYPED_TEST_SUITE(CudaNextToken, Types);

TYPED_TEST(CudaNextToken, IsTheCpusChoice) {
  for (const int64_t vocab : {5, 512, 1301}) {
    const ChoiceLogits<TypeParam> l(vocab);
    for (const ChoiceCase& c : choice_cases) {
      SCOPED_TRACE(fmt::format("{} of {}", c.name, vocab));
      GenerationOptions o = c.options();
      for (const uint64_t seed : {1, 2}) {
        o.seed = seed;
        EXPECT_EQ(choices_on_device(l, o), choices_on_cpu(l, o));
        if (!o.do_sample) break;
      }
    }
  }
}

TYPED_TEST(CudaNextToken, AppendsToTheTextThatThePenaltyReads) {
  const ChoiceLogits<TypeParam> l(64);
  GenerationOptions o;
  o.repetition_penalty = 1.5;
  std::vector<int32_t> history;
  const std::vector<int32_t> chosen = choices_on_device(l, o, &history);
  for (size_t r = 0; r < l.rows.size(); ++r) {
    const size_t at = (r + 2) % l.rows.size() * 40;
    for (size_t i = 0; i < l.texts[r].size(); ++i) EXPECT_EQ(history[at + i], l.texts[r][i]);
    EXPECT_EQ(history[at + l.texts[r].size()], chosen[r]);
    EXPECT_EQ(history[at + l.texts[r].size() + 1], -7);
  }
}

TEST(CudaNextToken, SaysWhatIsNotFinite) {
  ChoiceLogits<float> l(600);
  l.rows[0][599] = NAN;
  l.rows[1][3] = INFINITY;
  l.rows[1][7] = NAN;
  l.rows[2].assign(600, -INFINITY);
  for (const bool sample : {false, true}) {
    GenerationOptions o;
    o.do_sample = sample;
    const std::vector<int32_t> chosen = choices_on_device(l, o);
    EXPECT_EQ(chosen[0], ~599);
    EXPECT_EQ(chosen[1], ~3);
    EXPECT_EQ(chosen[2], INT32_MIN);
    EXPECT_GE(chosen[3], 0);
  }
}

}  // namespace
}  // namespace ft::test
