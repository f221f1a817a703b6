// Processors against Transformers' own (tests/fixtures/generation), and the draw.
#include "engine/generate/sampler.h"

#include <cmath>
#include <map>

#include "tests/generate/support.h"

namespace ft {
namespace {

std::vector<float> floats(const Json& list) {
  return list.get<std::vector<float>>();
}

GenerationOptions sampling() {
  GenerationOptions o;
  o.do_sample = true;
  o.top_k = 0;
  return o;
}

TEST(Processors, GiveTransformersScoresAndProbabilities) {
  const Json file = read_json_file(kFixtures / "generation/expected.json");
  int cases = 0;
  for (const Json& c : file.at("cases")) {
    GenerationOptions o = sampling();
    o.temperature = c.value("temperature", 1.0);
    o.top_k = c.value("top_k", 0);
    o.top_p = c.value("top_p", 1.0);
    o.min_p = c.value("min_p", 0.0);
    o.repetition_penalty = c.value("repetition_penalty", 1.0);
    const auto ids = c.at("input_ids").get<std::vector<int32_t>>();
    const std::vector<Candidate> got =
        process_scores(floats(file.at("logits").at(c.at("vector").get<std::string>())), ids, o);
    const std::vector<double> p = probabilities(got);

    Json what = c;
    what.erase("scores");
    what.erase("probabilities");
    SCOPED_TRACE(what.dump());
    std::map<int32_t, size_t> kept;
    for (size_t i = 0; i < got.size(); ++i) kept[got[i].id] = i;
    ASSERT_EQ(kept.size(), got.size());
    const Json& scores = c.at("scores");
    for (size_t id = 0; id < scores.size(); ++id) {
      const auto found = kept.find(static_cast<int32_t>(id));
      ASSERT_EQ(found != kept.end(), !scores[id].is_null()) << "token " << id;
      if (scores[id].is_null()) continue;
      const auto want = scores[id].get<float>();
      EXPECT_NEAR(got[found->second].score, want, std::abs(want) * 1e-6f) << "token " << id;
      EXPECT_NEAR(p[found->second], c.at("probabilities")[id].get<double>(), 1e-6) << "token " << id;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 45);
}

TEST(Processors, GreedyIgnoresWhatOnlyDrawingNeeds) {
  GenerationOptions o;
  o.temperature = 0.1;
  o.top_k = 1;
  const std::vector<float> logits = {1, 3, 2};
  EXPECT_EQ(process_scores(logits, {}, o).size(), 3u);
  EXPECT_EQ(next_token(logits, {}, o, 0), 1);
}

TEST(Processors, GreedyTakesTheLowestOfEqualIds) {
  EXPECT_EQ(next_token(std::vector<float>{1, 5, 5, 5, 2}, {}, {}, 0), 1);
}

TEST(Processors, PenaltyCountsATokenOnceAndIgnoresForeignIds) {
  GenerationOptions o;
  o.repetition_penalty = 2;
  const std::vector<int32_t> ids = {0, 0, 0, 1, 99, -1};
  const auto c = process_scores(std::vector<float>{4, -4, 1}, ids, o);
  EXPECT_EQ(c[0].score, 2);
  EXPECT_EQ(c[1].score, -8);
  EXPECT_EQ(c[2].score, 1);
}

TEST(Processors, TopPCutsTiesFromTheHighestId) {
  GenerationOptions o = sampling();
  o.top_p = 0.5;
  const auto c = process_scores(std::vector<float>{1, 1, 1, 1}, {}, o);
  ASSERT_EQ(c.size(), 2u);
  EXPECT_EQ(c[0].id, 0);
  EXPECT_EQ(c[1].id, 1);
}

TEST(Processors, ExtremeSettingsStayFinite) {
  const std::vector<float> logits = {-30, 20, 19.5f, 0};
  for (const double t : {1e-300, 1e-39, 1e-6, 1e30, 1e300}) {
    GenerationOptions o = sampling();
    o.temperature = t;
    o.repetition_penalty = t;
    o.top_p = 0.9;
    o.min_p = 0.01;
    const std::vector<int32_t> ids = {0, 1, 2, 3};
    double sum = 0;
    for (const double p : probabilities(process_scores(logits, ids, o))) sum += p;
    EXPECT_NEAR(sum, 1, 1e-9) << t;
  }
}

TEST(Processors, RefuseOutputThatIsNotFinite) {
  const float nan = std::nanf(""), inf = INFINITY;
  EXPECT_THROW(next_token(std::vector<float>{1, nan}, {}, {}, 0), Error);
  EXPECT_THROW(next_token(std::vector<float>{1, inf}, {}, {}, 0), Error);
  EXPECT_THROW(next_token(std::vector<float>{-inf, -inf}, {}, {}, 0), Error);
  EXPECT_EQ(next_token(std::vector<float>{-inf, -3}, {}, sampling(), 0), 1);
}

TEST(Draw, FollowsTheProbabilities) {
  const std::vector<float> logits = {0, std::log(2.f), std::log(5.f)};  // 1 : 2 : 5
  std::array<int, 3> count{};
  std::vector<int32_t> ids;
  constexpr int kDraws = 8000;
  for (int i = 0; i < kDraws; ++i) {
    ++count[static_cast<size_t>(next_token(logits, ids, sampling(), 3))];
    ids.push_back(0);
  }
  // Four standard deviations of a binomial count: sqrt(n p (1 − p)) is at most 45.
  EXPECT_NEAR(count[0], kDraws / 8, 120);
  EXPECT_NEAR(count[1], kDraws / 4, 155);
  EXPECT_NEAR(count[2], kDraws * 5 / 8, 175);
}

TEST(Draw, DependsOnSeedRowAndPosition) {
  const std::vector<float> logits(1000, 0.f);
  GenerationOptions o = sampling();
  const auto text = [&](uint64_t seed, uint64_t row) {
    o.seed = seed;
    std::vector<int32_t> ids;
    while (ids.size() < 8) ids.push_back(next_token(logits, ids, o, row));
    return ids;
  };
  EXPECT_EQ(text(1, 0), text(1, 0));
  EXPECT_NE(text(1, 0), text(2, 0));
  EXPECT_NE(text(1, 0), text(1, 1));
  const auto ids = text(1, 0);
  EXPECT_NE(std::count(ids.begin(), ids.end(), ids[0]), 8);
}

}  // namespace
}  // namespace ft
