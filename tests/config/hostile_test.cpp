// Configurations made to break the reader: whatever comes, the answer is a tree or an InputError, soon.
#include <random>

#include "engine/config/fields.h"
#include "tests/config/support.h"

namespace ft {
namespace {

std::string yaml_error(const std::string& text) {
  return error_of([&] { yaml(text); });
}

std::string repeated(std::string_view unit, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += unit;
  return out;
}

TEST(Hostile, DeepNestingIsRefused) {
  for (std::string_view unit : {"[", "{", "- ", "{a: ", "[a, ", "? ", ": ", "a: [", "- - "}) {
    const std::string error = yaml_error(repeated(unit, 100'000 / unit.size()));
    EXPECT_NE(error, "(none)") << unit;
  }
  const int inside = kMaxConfigDepth;
  EXPECT_EQ(yaml_error(repeated("[", inside) + repeated("]", inside)), "(none)");
  EXPECT_EQ(yaml_error(repeated("[", inside + 1) + repeated("]", inside + 1)),
            "exp.yaml:1: nested deeper than 64 levels");
}

TEST(Hostile, AliasesCannotGrowWithoutBound) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{}: &a{} [{}]\n", i, i, repeated(fmt::format("*a{}, ", i - 1), 9));
  }
  EXPECT_NE(yaml_error(bomb).find("too large"), std::string::npos);
  std::string wide = "big: &b " + std::string(500'000, 'x') + "\nlist:\n";
  for (int i = 0; i < 100; ++i) wide += "- *b\n";
  EXPECT_NE(yaml_error(wide).find("too large"), std::string::npos);
  std::string merges = "m0: &m0 {k0: 1}\n";
  for (int i = 1; i < 9000; ++i) merges += fmt::format("m{}: &m{} {{<<: *m{}, k{}: 1}}\n", i, i, i - 1, i);
  EXPECT_NE(yaml_error(merges).find("exp.yaml:"), std::string::npos);
  std::string nested = repeated("&a [", 60) + repeated("x, ", 90'000) + repeated("]", 60);
  EXPECT_NE(yaml_error(nested).find("too large"), std::string::npos) << "copies that anchors keep count too";
}

TEST(Hostile, SizesAreBounded) {
  EXPECT_EQ(yaml_error("a: " + std::string(kMaxYamlBytes, 'x')),
            "exp.yaml: larger than 1048576 bytes, the limit for YAML");
  EXPECT_EQ(yaml_error("a: " + std::string(kMaxYamlBytes - 100, 'x') + "\n"), "(none)");
  EXPECT_NE(yaml_error("[" + repeated("a,", 200'000) + "]").find("too large"), std::string::npos);
  std::string keys;
  for (int i = 0; i < 5000; ++i) keys += fmt::format("k{}: 1\n", i);
  EXPECT_EQ(yaml_error(keys), "exp.yaml:4097: a mapping of more than 4096 keys");
}

TEST(Hostile, BytesThatAreNotText) {
  for (std::string_view bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xbd", "\x80",
                               "\xf8\x88\x80\x80\x80", "\xc3"}) {
    EXPECT_EQ(yaml_error(fmt::format("a: 1\nb: {}", bad)),
              "exp.yaml:2: not UTF-8; save the file as UTF-8 text");
  }
  EXPECT_EQ(yaml_error(std::string("a: 1\nb: x\0y\n", 12)),
            "exp.yaml:2: the control character 0x00 is not allowed in YAML");
  EXPECT_EQ(yaml_error("a: 1\n\x04\nb: [\n"), "exp.yaml:2: the control character 0x04 is not allowed in YAML")
      << "yaml-cpp would end the file here";
  EXPECT_EQ(yaml_error("a: 1\rb: 2\n"), "exp.yaml:1: the control character 0x0d is not allowed in YAML");
  EXPECT_EQ(yaml_error("\xff\xfe"
                       "a\0:\0"),
            "exp.yaml:1: not UTF-8; save the file as UTF-8 text");
}

TEST(Hostile, RepeatedFragmentsEndSoon) {
  for (std::string_view unit :
       {"'", "\"",   "&a ",        "!a ",   "*a ",   "#",    "|",  "\\", "---\n", "%a b\n", "}",
        "]", "\t",   "a: |\n b\n", "? a\n", "[a]: ", "<<: ", "!!", "&a", "%",     "@",      "`",
        ",", ">-\n", "...\n",      "\n ",   "{}",    "[]",   "{a", "!<", "\"\\"}) {
    yaml_error(repeated(unit, 60'000 / unit.size()));  // a tree or an InputError
  }
}

/// Bytes and fragments that carry meaning in YAML, put in, taken out, moved and doubled.
std::string mutated(std::string text, std::mt19937_64& random) {
  static const std::vector<std::string> kPieces = {":",
                                                   ": ",
                                                   "-",
                                                   "- ",
                                                   "\n",
                                                   "\n  ",
                                                   " ",
                                                   "\t",
                                                   "'",
                                                   "\"",
                                                   "{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   ",",
                                                   "#",
                                                   "&a ",
                                                   "*a",
                                                   "<<: ",
                                                   "|",
                                                   ">",
                                                   "?",
                                                   "? ",
                                                   "!",
                                                   "!!str ",
                                                   "%",
                                                   "@",
                                                   "~",
                                                   "null",
                                                   "true",
                                                   "no",
                                                   "-1",
                                                   "1e400",
                                                   "1e30",
                                                   ".nan",
                                                   "9223372036854775808",
                                                   "\xff",
                                                   "\xe4",
                                                   "\r",
                                                   "\0",
                                                   "---\n",
                                                   "...",
                                                   "\\x",
                                                   "\\u",
                                                   "\"\\ud800\"",
                                                   "0x",
                                                   "nf4",
                                                   "path",
                                                   "{a: {path: x, format: text}}",
                                                   "steps",
                                                   "[]",
                                                   "{}",
                                                   "\xef\xbb\xbf"};
  for (size_t n = 1 + random() % 3; n > 0; --n) {
    const size_t at = random() % (text.size() + 1);
    switch (random() % 5) {
      case 0:
        text.insert(at, kPieces[random() % kPieces.size()]);
        break;
      case 1:
        text.erase(at, 1 + random() % 8);
        break;
      case 2:
        text.insert(at, text.substr(random() % (text.size() + 1), random() % 40));
        break;
      case 3:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      default: {  // a line's value replaced
        const size_t colon = text.find(": ", at);
        if (colon == std::string::npos) break;
        const size_t end = std::min(text.find('\n', colon), text.size());
        text.replace(colon + 2, end - colon - 2, kPieces[random() % kPieces.size()]);
      }
    }
  }
  return text;
}

TEST(Hostile, MutatedExamplesNeverCrashAndSurvivorsRoundTrip) {
  std::mt19937_64 random(20240601);
  int refused = 0, accepted = 0;
  for (int i = 0; i < 6000; ++i) {
    const std::string text = mutated(std::string(i % 4 ? kFullExample : std::string_view(minimal())), random);
    try {
      const Experiment e = experiment(text);
      ++accepted;
      const std::string written = to_yaml(to_resolved(e));
      ASSERT_EQ(experiment(written), e) << written;
    } catch (const InputError& error) {
      ++refused;
      const std::string message = error.what();
      ASSERT_EQ(message.find('\n'), std::string::npos) << message;
      ASSERT_TRUE(message.starts_with("exp.yaml")) << message;
      ASSERT_LT(message.size(), 2000u) << message;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(accepted, 200) << "the mutations are too harsh to test the writer";
}

TEST(Hostile, MutatedOverridesNeverCrash) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = mutated("adapter.target_modules=[q_proj, {a: 'b'}]", random);
    try {
      ConfigNode root = yaml(kFullExample);
      apply_override(root, text);
      parse_experiment(root, {.check_files = false});
    } catch (const InputError&) {
    }
  }
}

}  // namespace
}  // namespace ft
