// YAML and JSON in and out: types, structure, lines, and the same tree after a round trip.
#include <cmath>
#include <random>

#include "engine/config/json.h"
#include "tests/config/support.h"

namespace ft {
namespace {

using Kind = ConfigNode::Kind;

std::string yaml_error(std::string_view text) {
  return error_of([&] { yaml(text); });
}

TEST(Yaml, NumbersAsPeopleWriteThem) {
  for (const auto& [text, value] :
       std::vector<std::pair<std::string, double>>{{"1e-4", 1e-4},
                                                   {"1.0e-4", 1e-4},
                                                   {"3.e-4", 3e-4},
                                                   {".5", .5},
                                                   {"-.5", -.5},
                                                   {"+1.5", 1.5},
                                                   {"1E3", 1e3},
                                                   {"1e+3", 1e3},
                                                   {"5.", 5},
                                                   {"0.1", 0.1},
                                                   {"-0.0", -0.0},
                                                   {"123456789012345678901", 123456789012345678901.0}}) {
    const ConfigNode node = yaml(text);
    ASSERT_EQ(node.kind(), Kind::real) << text;
    EXPECT_EQ(node.real(), value) << text;
    EXPECT_EQ(std::signbit(node.real()), std::signbit(value)) << text;
  }
  for (const auto& [text, value] :
       std::vector<std::pair<std::string, int64_t>>{{"0", 0},
                                                    {"12", 12},
                                                    {"-7", -7},
                                                    {"+7", 7},
                                                    {"012", 12},
                                                    {"0x1F", 31},
                                                    {"0o17", 15},
                                                    {"9223372036854775807", INT64_MAX},
                                                    {"-9223372036854775808", INT64_MIN}}) {
    ASSERT_EQ(yaml(text).kind(), Kind::integer) << text;
    EXPECT_EQ(yaml(text).integer(), value) << text;
  }
  EXPECT_TRUE(std::isinf(yaml("-.inf").real()));
  EXPECT_TRUE(std::isnan(yaml(".nan").real()));
}

TEST(Yaml, WhatLooksLikeANumberOnlyAlmostIsText) {
  for (std::string text : {"1_000",  "1e",  "e5",  ".",     "1.2.3", "0x",   "0xg", "0x-1", "0o9", "1e999",
                           "1e-999", "inf", "nan", "12:30", "1,5",   "- -1", "--1", "1e5x", "+-1", "1 000"}) {
    const ConfigNode node = text == "- -1" ? yaml("'- -1'") : yaml(text);
    ASSERT_EQ(node.kind(), Kind::string) << text;
    EXPECT_EQ(node.string(), text);
  }
}

TEST(Yaml, QuotesMakeText) {
  for (std::string_view text : {"'1e-4'", "\"12\"", "'true'", "\"null\"", "'~'", "! 3", "!!str 3", "''"}) {
    EXPECT_EQ(yaml(text).kind(), Kind::string) << text;
  }
}

TEST(Yaml, BooleansAndNull) {
  for (std::string_view text : {"true", "True", "TRUE"}) EXPECT_TRUE(yaml(text).boolean());
  for (std::string_view text : {"false", "False", "FALSE"}) EXPECT_FALSE(yaml(text).boolean());
  for (std::string_view text : {"yes", "no", "on", "off", "y", "N", "tRue"})
    EXPECT_EQ(yaml(text).kind(), Kind::string) << text;
  for (std::string_view text : {"", "~", "null", "# only a comment"})
    EXPECT_TRUE(yaml(text).is_null()) << text;
  EXPECT_TRUE(yaml("a:\nb: 1").find("a")->is_null());
}

TEST(Yaml, EveryNodeKnowsItsLine) {
  const ConfigNode root =
      yaml("# head\na: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\nlong: |\n  one\n  two\nlast: z\n");
  EXPECT_EQ(root.find("a")->where(), "exp.yaml:2");
  EXPECT_EQ(root.key_where(1), "exp.yaml:3");
  EXPECT_EQ((*root.find("b"))[0].where(), "exp.yaml:4");
  EXPECT_EQ((*root.find("b"))[1].find("d")->where(), "exp.yaml:6");
  EXPECT_EQ(root.find("long")->string(), "one\ntwo\n");
  EXPECT_EQ(root.find("last")->where(), "exp.yaml:10");
}

TEST(Yaml, AnchorsAliasesAndMergeKeys) {
  const ConfigNode root = yaml(
      "base: &b {r: 8, alpha: 16}\nother: &o {r: 4, bias: none}\n"
      "x: *b\ny:\n  <<: *b\n  r: 2\nz:\n  <<: [*o, *b]\nq:\n  '<<': 1\n");
  EXPECT_EQ(*root.find("x"), *root.find("base"));
  EXPECT_EQ(root.find("y")->find("r")->integer(), 2);
  EXPECT_EQ(root.find("y")->find("alpha")->integer(), 16);
  EXPECT_EQ(root.find("z")->find("r")->integer(), 4);
  EXPECT_EQ(root.find("z")->find("alpha")->integer(), 16);
  EXPECT_EQ(root.find("q")->find("<<")->integer(), 1) << "quoted: an ordinary key";
  EXPECT_EQ(root.find("y")->find("alpha")->where(), "exp.yaml:1") << "a merged value keeps its line";
}

TEST(Yaml, StructuralFaultsNameTheLine) {
  EXPECT_EQ(yaml_error("a: 1\nb: 2\na: 3\n"), "exp.yaml:3: key 'a' is given twice in one mapping; keep one");
  EXPECT_EQ(yaml_error("x: &b {a: 1}\ny:\n  <<: *b\n  <<: *b\n"),
            "exp.yaml:4: key '<<' is given twice in one mapping; keep one");
  EXPECT_EQ(yaml_error("x:\n  <<: 3\n"), "exp.yaml:2: '<<' takes a mapping or a list of mappings");
  EXPECT_NE(yaml_error("a: 1\n---\nb: 2\n").find("exp.yaml:2: a second YAML document"), std::string::npos);
  EXPECT_NE(yaml_error("- a\nb: 1\n").find("exp.yaml:2:"), std::string::npos);
  EXPECT_NE(yaml_error("a: 1\n...\nb: 2\n").find("second YAML document"), std::string::npos);
  EXPECT_EQ(yaml_error("a: &x [1, *x]\n"), "exp.yaml:1: this alias stands inside the value that it names");
  EXPECT_EQ(yaml_error("a: 1\nb: *nobody\n"),
            "exp.yaml:2: a value that begins with * names an anchor; put a text in quotes");
  EXPECT_EQ(yaml_error("a: @x\n"), "exp.yaml:1: a value cannot begin with this character; put it in quotes");
  EXPECT_EQ(yaml_error("? [a]\n: 1\n"),
            "exp.yaml:1: a list or mapping stands where a key is expected; close its bracket, or write the "
            "key as a text");
  EXPECT_EQ(yaml_error("~: 1\n"), "exp.yaml:1: a key is missing; a key must be a text");
  EXPECT_EQ(yaml_error("k: &a x\n*a : 1\n"), "exp.yaml:2: an alias cannot be a key; a key must be a text");
  EXPECT_EQ(
      yaml_error("a: 1\nb: !!python/object:os.system x\n"),
      "exp.yaml:2: the YAML tag 'tag:yaml.org,2002:python/object:os.system' is not supported; remove it");
  EXPECT_EQ(yaml_error("a:\n  b: 1\n\tc: 2\n"), "exp.yaml:3: a tab in the indentation; indent with spaces");
  EXPECT_EQ(yaml_error("a: 1\nb: 'never closed\nc: 3\n"),
            "exp.yaml:2: a quotation mark or bracket that is opened here or below is never closed");
  EXPECT_EQ(yaml_error("a: \"never closed\n"),
            "exp.yaml:1: a quotation mark or bracket that is opened here or below is never closed");
  EXPECT_NE(yaml_error("a: 1\nb: c: d\n").find("exp.yaml:2: not valid YAML"), std::string::npos);
  EXPECT_EQ(yaml_error("a: [1, 2\nb: 3\n"),
            "exp.yaml:2: a bracket that is opened here or above is never closed");
}

TEST(Yaml, WindowsLinesByteOrderMarkAndDocumentMarksAreFine) {
  const ConfigNode root =
      yaml("\xef\xbb\xbf---\r\na: 1\r\nb: zwei \xc3\xa4 \xe4\xbd\xa0 \xf0\x9f\x98\x80\r\n...\r\n");
  EXPECT_EQ(root.find("a")->integer(), 1);
  EXPECT_EQ(root.find("b")->string(), "zwei \xc3\xa4 \xe4\xbd\xa0 \xf0\x9f\x98\x80");
}

TEST(Yaml, WritesWhatReadersOfBothVersionsUnderstand) {
  ConfigNode root;
  root.set("rate", 1e-5);
  root.set("big", 1e20);
  root.set("whole", 3.0);
  root.set("word", "no");
  root.set("digits", "1e-4");
  root.set("text", "a: b # c\n\"d\"");
  root.set("path", "/a/b-1.2");
  root.set("none", ConfigNode());
  root.set("list", ConfigNode::list({"q_proj", 3, true}));
  root.set("empty", ConfigNode::map());
  ConfigNode& maps = root.set("maps", ConfigNode::list());
  maps.append(ConfigNode()).set("r", 8);
  EXPECT_EQ(to_yaml(root),
            "rate: 1.0e-05\nbig: 1.0e+20\nwhole: 3.0\nword: \"no\"\ndigits: \"1e-4\"\ntext: \"a: b # "
            "c\\n\\\"d\\\"\"\n"
            "path: /a/b-1.2\nnone: null\nlist: [q_proj, 3, true]\nempty: {}\nmaps:\n  -\n    r: 8\n");
  EXPECT_EQ(yaml(to_yaml(root)), root);
}

class Random {
 public:
  explicit Random(unsigned seed) : bits_(seed) {}
  size_t below(size_t n) { return bits_() % n; }

  std::string text() {
    static const std::vector<std::string> kPieces = {"a",
                                                     "Z",
                                                     "0",
                                                     " ",
                                                     ":",
                                                     "#",
                                                     "\n",
                                                     "\t",
                                                     "'",
                                                     "\"",
                                                     "\\",
                                                     "-",
                                                     "no",
                                                     "null",
                                                     "1e5",
                                                     ".",
                                                     "{",
                                                     "]",
                                                     ",",
                                                     "&",
                                                     "*",
                                                     "!",
                                                     "|",
                                                     "%",
                                                     "@",
                                                     "`",
                                                     "?",
                                                     "~",
                                                     "\r",
                                                     "\x01",
                                                     "\x7f",
                                                     "\xc2\x85",
                                                     "\xc3\xa4",
                                                     "\xe2\x80\xa8",
                                                     "\xef\xbb\xbf",
                                                     "\xf0\x9f\x98\x80",
                                                     "<<",
                                                     "---",
                                                     "\x04"};
    std::string out;
    for (size_t n = below(7); n > 0; --n) out += kPieces[below(kPieces.size())];
    return out;
  }

  ConfigNode node(int depth) {
    switch (below(depth > 0 ? 7 : 5)) {
      case 0:
        return {};
      case 1:
        return below(2) == 0;
      case 2:
        return static_cast<int64_t>(bits_());
      case 3: {
        const double value = std::bit_cast<double>(bits_());
        return std::isnan(value) ? 0.5 : value;
      }
      case 4:
        return text();
      case 5: {
        ConfigNode list = ConfigNode::list();
        for (size_t n = below(4); n > 0; --n) list.append(node(depth - 1));
        return list;
      }
      default: {
        ConfigNode map = ConfigNode::map();
        for (size_t n = below(4); n > 0; --n) map.set(text(), node(depth - 1));
        return map;
      }
    }
  }

 private:
  std::mt19937_64 bits_;
};

TEST(Yaml, RandomTreesComeBackEqual) {
  Random random(7);
  for (int i = 0; i < 3000; ++i) {
    const ConfigNode tree = random.node(4);
    const std::string text = to_yaml(tree);
    ASSERT_EQ(error_of([&] { EXPECT_EQ(yaml(text), tree) << text; }), "(none)") << text;
    ASSERT_EQ(to_yaml(yaml(text)), text) << "deterministic";
  }
}

TEST(Yaml, LongKeysComeBackEqual) {
  ConfigNode tree;
  tree.set(std::string(5000, 'k'), 1);
  tree.set("m", ConfigNode::map()).set(std::string(2000, ' '), ConfigNode::list({ConfigNode::map(), 2}));
  EXPECT_EQ(yaml(to_yaml(tree)), tree);
}

TEST(Json, InAndOut) {
  const auto json = nlohmann::ordered_json::parse(
      R"({"peft_type": "LORA", "r": 8, "lora_dropout": 0.05, "bias": null, "z": [1, true, {"a": "\u00e4"}], "big": 18446744073709551615})");
  const ConfigNode node = from_json(json, std::make_shared<Source>(Source{"adapter_config.json", "/a"}));
  EXPECT_EQ(node.find("r")->integer(), 8);
  EXPECT_EQ(node.find("big")->real(), 18446744073709551615.0);
  EXPECT_EQ(node.find("r")->where(), "adapter_config.json");
  EXPECT_EQ(node.key(0), "peft_type") << "the order of writing";
  ConfigNode without = node;
  without.erase("big");
  auto expected = json;
  expected.erase("big");
  EXPECT_EQ(to_json(without).dump(), expected.dump());
  EXPECT_EQ(from_json(nlohmann::json::parse("{\"a\": [1.5]}"), test_source()), yaml("a: [1.5]"));
}

TEST(Json, DepthAndInfinityAreRefused) {
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  EXPECT_NE(
      error_of([&] { from_json(nlohmann::ordered_json::parse(deep), test_source()); }).find("nested deeper"),
      std::string::npos);
  EXPECT_THROW(to_json(ConfigNode(INFINITY)), Error);
}

TEST(Node, MutationKeepsOrderAndFindsKeys) {
  ConfigNode node;
  node.set("a", 1);
  node.set("b", "x");
  node.set("a", 2.5);
  EXPECT_EQ(to_yaml(node), "a: 2.5\nb: x\n");
  EXPECT_TRUE(node.erase("a"));
  EXPECT_FALSE(node.erase("a"));
  EXPECT_EQ(node.size(), 1u);
  EXPECT_EQ(node.find("nothing"), nullptr);
  EXPECT_THROW(node.append(1), Error);
  EXPECT_THROW(node.find("b")->integer(), Error);
}

}  // namespace
}  // namespace ft
