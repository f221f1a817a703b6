// Pre-tokenisers against Hugging Face's, and patterns that are hostile or cannot be translated.
#include "engine/data/pretokenizer.h"

#include <chrono>

#include "engine/data/tokenizer_utf8.h"
#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;

std::vector<std::string> pieces_of(const PreTokenizer& pre_tokenizer, std::string_view text) {
  PreTokenizer::Pieces pieces;
  pre_tokenizer.split(text, pieces);
  std::vector<std::string> all;
  for (size_t i = 0; i < pieces.spans.size(); ++i) {
    std::string piece;
    pre_tokenizer.byte_level() ? append_byte_level(piece, pieces[i]) : void(piece = pieces[i]);
    all.push_back(piece);
  }
  return all;
}

TEST(PreTokenizer, CutsAsHuggingFaceDoes) {
  const Json rows = read_json_file(data_folder() / "pretokenizers.json");
  ASSERT_GE(rows.size(), 30u);
  for (const Json& row : rows) {
    const PreTokenizer pre_tokenizer = PreTokenizer::from_json(row.at("node"), "test");
    for (const Json& c : row.at("cases")) {
      EXPECT_EQ(pieces_of(pre_tokenizer, c.at("text").get<std::string>()),
                c.at("pieces").get<std::vector<std::string>>())
          << row.at("node") << " on " << c.at("text");
    }
  }
}

TEST(PreTokenizer, NullCutsNothing) {
  const PreTokenizer none = PreTokenizer::from_json(nullptr, "test");
  EXPECT_EQ(pieces_of(none, "a b"), std::vector<std::string>{"a b"});
  EXPECT_TRUE(pieces_of(none, "").empty());
}

TEST(PreTokenizer, RefusesWhatItDoesNotKnow) {
  const auto from = [](const char* json) { return PreTokenizer::from_json(Json::parse(json), "tok.json"); };
  expect_bad_input([&] { from(R"({"type": "UnicodeScripts"})"); }, {"tok.json", "UnicodeScripts"});
  expect_bad_input([&] { from(R"({"type": "Metaspace", "replacement": "ab"})"); },
                   {"Metaspace", "one character"});
  expect_bad_input([&] { from(R"({"type": "Metaspace", "prepend_scheme": "odd"})"); }, {"odd"});
  expect_bad_input(
      [&] {
        from(R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Metaspace"}]})");
      },
      {"Metaspace", "ByteLevel"});
  expect_bad_input([&] { from(R"({"kind": 1})"); }, {"tok.json", "type"});
  expect_bad_input([&] { from(R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Odd"})"); },
                   {"Odd"});
  expect_bad_input([&] { from(R"({"type": "Split", "pattern": {"Regex": 3}, "behavior": "Removed"})"); },
                   {"Regex"});
  expect_bad_input([&] { from(R"({"type": "Sequence", "pretokenizers": {}})"); }, {"pretokenizers", "list"});
  expect_bad_input([&] { from(R"({"type": "ByteLevel", "use_regex": "yes"})"); }, {"use_regex"});
  expect_bad_input(
      [&] {
        from(R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "ByteLevel"}]})");
      },
      {"ByteLevel", "twice"});
}

TEST(TokenRegex, RefusesPatternsThatHaveNoExactTranslation) {
  for (const char* pattern :
       {"[a&&[b]]", "[a[^b]]", "[[:alpha:]]", "\\h",   "\\bword", "(?m:.)",      "a(?i)b", "x{2}+",
        "x{,3}",    "\\u12",   "[a",          "(a",    "a\\",     "\\x{110000}", "[z-a]",  "\\p{Nonsense}",
        "(?<n>a)",  "\\1",     "*a",          "[\\W]", "\\Qa\\E", "(*ACCEPT)x)"}) {
    expect_bad_input([&] { TokenRegex(pattern, "tok.json"); }, {"tok.json"});
  }
  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += "(?:";
  expect_bad_input([&] { TokenRegex(deep, "tok.json"); }, {"tok.json"});
}

TEST(TokenRegex, AHostilePatternEndsInAnErrorNotInHours) {
  const TokenRegex regex("(?:a|a|aa)+[^a]", "tok.json");
  const std::string text(5000, 'a');
  const auto start = std::chrono::steady_clock::now();
  std::vector<TextSpan> found;
  expect_bad_input([&] { regex.find_all(text, found); }, {"tok.json", "(?:a|a|aa)+[^a]"});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(TokenRegex, EmptyMatchesMoveOn) {
  std::vector<TextSpan> found;
  TokenRegex("x*", "test").find_all("äxx", found);
  ASSERT_EQ(found.size(), 2u);  // empty before ä, then xx
  EXPECT_EQ(found[1].begin, 2u);
  EXPECT_EQ(found[1].end, 4u);
}

}  // namespace
}  // namespace ft
