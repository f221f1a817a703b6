// Fields: types, ranges, unknown keys, and what PEFT's files bring along.
#include "engine/config/fields.h"

#include "engine/config/nearest.h"
#include "tests/config/support.h"

namespace ft {
namespace {

enum class Bias { none, all, lora_only };

/// The error of reading `key: text` on line 1 as a T.
template <class T>
std::string read_error(std::string_view text, const NumberRange& range = {}) {
  const ConfigNode node = yaml(fmt::format("k: {}", text));
  return error_of([&] {
    T value{};
    Fields(node, "training").get("k", value, range);
  });
}

template <class T>
T read_value(std::string_view text) {
  const ConfigNode node = yaml(fmt::format("k: {}", text));
  T value{};
  EXPECT_TRUE(Fields(node, "s").get("k", value));
  return value;
}

TEST(Fields, ReadsEveryType) {
  EXPECT_EQ(read_value<bool>("true"), true);
  EXPECT_EQ(read_value<int>("8"), 8);
  EXPECT_EQ(read_value<int64_t>("1e3"), 1000);
  EXPECT_EQ(read_value<uint8_t>("255.0"), 255);
  EXPECT_EQ(read_value<double>("3"), 3.0);
  EXPECT_EQ(read_value<float>("1e-4"), 1e-4f);
  EXPECT_EQ(read_value<std::string>("abc"), "abc");
  EXPECT_EQ(read_value<std::filesystem::path>("sub/../a/"), "/base/a");
  EXPECT_EQ(read_value<std::filesystem::path>("/x/y"), "/x/y");
  EXPECT_EQ(read_value<std::optional<int>>("null"), std::nullopt);
  EXPECT_EQ(read_value<std::optional<int>>("3"), 3);
  EXPECT_EQ(read_value<std::vector<std::string>>("[a, b]"), (std::vector<std::string>{"a", "b"}));
  using Pattern = std::vector<std::pair<std::string, int>>;
  EXPECT_EQ(read_value<Pattern>("{b: 2, a: 1}"), (Pattern{{"b", 2}, {"a", 1}})) << "the order of writing";
}

TEST(Fields, WrongTypesSayWhatWasExpectedAndWhatCame) {
  EXPECT_EQ(read_error<double>("abc"), "exp.yaml:1: training.k: expected a number, got the text 'abc'");
  EXPECT_EQ(read_error<double>("'1e-4'"),
            "exp.yaml:1: training.k: expected a number, got the text '1e-4'; remove the quotes");
  EXPECT_EQ(read_error<double>(".nan"),
            "exp.yaml:1: training.k: expected a finite number, got the number nan");
  EXPECT_EQ(read_error<double>("1e999"), "exp.yaml:1: training.k: expected a number, got the text '1e999'");
  EXPECT_EQ(read_error<double>("true"), "exp.yaml:1: training.k: expected a number, got true");
  EXPECT_EQ(read_error<double>(""), "exp.yaml:1: training.k: expected a number, got nothing (null)");
  EXPECT_EQ(read_error<int>("1.5"), "exp.yaml:1: training.k: expected an integer, got the number 1.5");
  EXPECT_EQ(read_error<int>("[1]"), "exp.yaml:1: training.k: expected an integer, got a list of 1");
  EXPECT_EQ(read_error<int8_t>("128"),
            "exp.yaml:1: training.k: expected an integer from -128 to 127, got the number 128");
  EXPECT_EQ(read_error<unsigned>("-1"),
            "exp.yaml:1: training.k: expected an integer from 0 to 4294967295, got the number -1");
  EXPECT_EQ(read_error<int64_t>("1e30"), "exp.yaml:1: training.k: expected an integer, got the number 1e+30");
  EXPECT_EQ(read_error<bool>("yes"),
            "exp.yaml:1: training.k: expected true or false, got the text 'yes'; write true");
  EXPECT_EQ(read_error<bool>("off"),
            "exp.yaml:1: training.k: expected true or false, got the text 'off'; write false");
  EXPECT_EQ(read_error<bool>("'true'"),
            "exp.yaml:1: training.k: expected true or false, got the text 'true'; remove the quotes");
  EXPECT_EQ(read_error<bool>("1"), "exp.yaml:1: training.k: expected true or false, got the number 1");
  EXPECT_EQ(read_error<std::string>("12"),
            "exp.yaml:1: training.k: expected a text, got the number 12; put it in quotes");
  EXPECT_EQ(read_error<std::filesystem::path>("''"),
            "exp.yaml:1: training.k: expected a path, got the text ''");
  EXPECT_EQ(read_error<std::filesystem::path>("\"a\\0b\""),
            "exp.yaml:1: training.k: expected a path, got the text 'a?b'");
  EXPECT_EQ(read_error<std::vector<int>>("3"),
            "exp.yaml:1: training.k: expected a list, got the number 3; write it as [a, b]");
  EXPECT_EQ(read_error<std::vector<int>>("[1, x]"),
            "exp.yaml:1: training.k[1]: expected an integer, got the text 'x'");
  EXPECT_EQ(error_of([] { Fields(yaml("[1]"), "adapter"); }),
            "exp.yaml:1: adapter: expected a mapping of keys to values, got a list of 1");
}

TEST(Fields, Ranges) {
  EXPECT_EQ(read_error<double>("0", positive()),
            "exp.yaml:1: training.k: expected a number above 0, got the number 0");
  EXPECT_EQ(read_error<int>("0", at_least(1)),
            "exp.yaml:1: training.k: expected an integer of at least 1, got the number 0");
  EXPECT_EQ(read_error<double>("1", probability()),
            "exp.yaml:1: training.k: expected a number of at least 0 and below 1, got the number 1");
  EXPECT_EQ(read_error<double>("0", share()),
            "exp.yaml:1: training.k: expected a number above 0 and at most 1, got the number 0");
  EXPECT_EQ(read_error<std::optional<int>>("5", between(1, 4)),
            "exp.yaml:1: training.k: expected an integer of at least 1 and at most 4, got the number 5");
  EXPECT_EQ(read_error<std::vector<double>>("[1, -1]", at_least(0)),
            "exp.yaml:1: training.k[1]: expected a number of at least 0, got the number -1");
  EXPECT_EQ(read_error<double>("0", at_least(0)), "(none)");
  EXPECT_EQ(read_error<double>("0.999", probability()), "(none)");
}

TEST(Fields, MissingKeysLeaveTheDefault) {
  const ConfigNode node = yaml("a: 1");
  Fields fields(node, "s");
  int b = 5;
  EXPECT_FALSE(fields.get("b", b));
  EXPECT_EQ(b, 5);
  EXPECT_TRUE(fields.has("a"));
  EXPECT_FALSE(fields.has("b"));
  EXPECT_EQ(fields.node("a")->integer(), 1);
  EXPECT_NO_THROW(fields.finish());
  EXPECT_EQ(error_of([&] { fields.require("b", "write b: 1"); }), "exp.yaml:1: s.b is missing; write b: 1");
  const ConfigNode nothing;
  Fields empty(nothing, "s");
  EXPECT_FALSE(empty.get("b", b));
  EXPECT_NO_THROW(empty.finish());
}

TEST(Fields, UnknownKeyNamesTheNearest) {
  const ConfigNode node = yaml("x: 1\n\nlearning_rte: 1\n");
  Fields fields(node, "training");
  double rate = 0, other = 0;
  fields.get("x", other);
  fields.get("learning_rate", rate);
  EXPECT_EQ(error_of([&] { fields.finish(); }),
            "exp.yaml:3: unknown key 'learning_rte' in training; did you mean 'learning_rate'?");
  const ConfigNode far = yaml("zzzzzz: 1");
  Fields none(far, "");
  none.get("alpha", rate);
  none.get("beta", rate);
  EXPECT_EQ(error_of([&] { none.finish(); }), "exp.yaml:1: unknown key 'zzzzzz'; known keys: alpha, beta");
}

TEST(Fields, ChoicesNameTheNearest) {
  const auto bias = [](std::string_view text) {
    const ConfigNode node = yaml(fmt::format("bias: {}", text));
    Bias value = Bias::none;
    Fields(node, "adapter")
        .get_enum("bias", value, {{"none", Bias::none}, {"all", Bias::all}, {"lora_only", Bias::lora_only}});
    return value;
  };
  EXPECT_EQ(bias("lora_only"), Bias::lora_only);
  EXPECT_EQ(error_of([&] { bias("lora-onyl"); }),
            "exp.yaml:1: adapter.bias: expected one of none, all, lora_only, got the text 'lora-onyl'; did "
            "you mean 'lora_only'?");
  EXPECT_EQ(error_of([&] { bias("true"); }),
            "exp.yaml:1: adapter.bias: expected one of none, all, lora_only, got true");
}

TEST(Fields, OtherSpellingsNameTheRightOne) {
  const ConfigNode node = yaml("peft_type: LORA\nrank: 8\n");
  Fields fields(node, "adapter");
  EXPECT_EQ(error_of([&] { fields.renamed("rank", "r"); }),
            "exp.yaml:2: unknown key 'rank' in adapter; it is called 'r' here");
  EXPECT_NO_THROW(fields.renamed("token_dimension", "token_dim"));
}

TEST(Fields, PeftFieldsThatAskForNothingAreAccepted) {
  const ConfigNode node = yaml("a: null\nb: false\nc: []\nd: {}\ne: ''\nf: megatron.core\ng: 1\nh: 0.0\n");
  Fields fields(node, "adapter");
  for (std::string_view key : {"a", "b", "c", "d", "e", "missing"}) fields.accept_null_or_default(key);
  fields.accept_null_or_default("f", "megatron.core");
  fields.accept_null_or_default("g", 1.0);
  fields.accept_null_or_default("h", 0);
  EXPECT_NO_THROW(fields.finish());
  const ConfigNode set = yaml("use_dora: true\nn: 3\n");
  Fields other(set, "adapter");
  EXPECT_EQ(error_of([&] { other.accept_null_or_default("use_dora"); }),
            "exp.yaml:1: adapter.use_dora: not supported, but set to true; remove it");
  EXPECT_THROW(other.accept_null_or_default("n", 2), InputError);
}

TEST(Fields, LenientFinishLetsUnusedFieldsOfOtherVersionsThrough) {
  const ConfigNode quiet = yaml("r: 8\nfrom_the_future: null\nanother: false\n");
  int r = 0;
  Fields fields(quiet, "adapter");
  fields.get("r", r);
  EXPECT_NO_THROW(fields.finish_lenient());
  EXPECT_THROW(fields.finish(), InputError);
  const ConfigNode loud = yaml("r: 8\nfrom_the_future: 3\n");
  Fields refused(loud, "adapter");
  refused.get("r", r);
  EXPECT_THROW(refused.finish_lenient(), InputError);
}

TEST(Fields, MessagesStayOnOneShortLine) {
  const ConfigNode node = yaml("\"bad\\nkey\\x1b" + std::string(500, 'x') + "\": 1\n");
  Fields fields(node, "s");
  const std::string message = error_of([&] { fields.finish(); });
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 200u);
  EXPECT_LT(read_error<int>(std::string(5000, 'y')).size(), 200u);
}

TEST(Nearest, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"learning_rate", "seed",       "r",         "adamw",
                                          "CAUSAL_LM",     "eval_steps", "save_steps"};
  EXPECT_EQ(nearest("learning_rate_", names), "learning_rate");
  EXPECT_EQ(nearest("leraning_rate", names), "learning_rate") << "a swap";
  EXPECT_EQ(nearest("Learning-Rate", names), "learning_rate");
  EXPECT_EQ(nearest("causal_lm", names), "CAUSAL_LM");
  EXPECT_EQ(nearest("adamw_torch", names), "adamw") << "a beginning";
  EXPECT_EQ(nearest("sede", names), "seed");
  EXPECT_EQ(nearest("eval_step", names), "eval_steps");
  EXPECT_EQ(nearest("quite_different", names), std::nullopt);
  EXPECT_EQ(nearest("", names), std::nullopt);
  EXPECT_EQ(nearest(std::string(100000, 'l'), names), std::nullopt);
}

}  // namespace
}  // namespace ft
