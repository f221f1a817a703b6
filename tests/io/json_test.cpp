#include "engine/io/json.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/io/io_testing.h"

namespace ft {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_bytes;

TEST(Json, ParsesEveryKindOfValue) {
  const Json value = parse_json(
      "\xEF\xBB\xBF{\"a\": [1, -2, 2.5, true, null], \r\n \"b\": {\"c\": \"h\\u00e9 \xE4\xB8\xAD\"}, \"d\": "
      "{}, \"e\": []}",
      "x");
  EXPECT_EQ(value["a"], Json::array({1, -2, 2.5, true, nullptr}));
  EXPECT_EQ(value["b"]["c"], "hé 中");
  EXPECT_EQ(value["d"], Json::object());
  EXPECT_EQ(value["e"], Json::array());
  EXPECT_EQ(parse_json("18446744073709551615", "x").get<uint64_t>(), UINT64_MAX);
  EXPECT_EQ(parse_json(" 7 ", "x"), 7);
}

TEST(Json, KeepsNestedValuesWhereTheyBelong) {
  const Json value = parse_json(R"({"a": {"b": [{"c": 1}, [2, {"d": 3}]], "e": 4}, "f": 5})", "x");
  EXPECT_EQ(value.dump(), R"({"a":{"b":[{"c":1},[2,{"d":3}]],"e":4},"f":5})");
}

TEST(Json, ErrorsNameTheLine) {
  expect_error([] { parse_json("{\n\"a\": 1,\n\"b\": }", "c.json"); },
               "c.json:3: not valid JSON: syntax error");
  expect_error([] { parse_json("[1 2\n]", "c.json"); }, "c.json:1: not valid JSON");
  expect_error([] { parse_json("{\"a\": \"x\ny\"}", "c.json"); }, "c.json:1: not valid JSON");
  expect_error([] { parse_json("{\"a\":\n[1", "c.json"); }, "c.json:2: not valid JSON");
  expect_error([] { parse_json("", "c.json"); }, "c.json:1: not valid JSON");
  expect_error([] { parse_json("{}\n{}", "c.json"); }, "c.json:2: not valid JSON");
  expect_error([] { parse_json("nul", "c.json", 41); }, "c.json:41: not valid JSON");
  const TemporaryFolder folder;
  expect_error([&] { read_json_file(write_bytes(folder / "c.json", "{\n]")); }, "c.json:2: not valid JSON");
  expect_error([&] { read_json_file(folder / "c.json", 2); }, "larger than 2 bytes");
}

TEST(Json, RefusesWhatHidesMistakes) {
  expect_error([] { parse_json("{\"a\": 1,\n\"b\": {\"a\": 1},\n\"a\": 2}", "c"); },
               "c:3: the key \"a\" appears twice in one object");
  expect_error([] { parse_json("{\"a\": NaN}", "c"); }, "c:1: not valid JSON");
  expect_error([] { parse_json("1e999", "c"); }, "c:1: not valid JSON: number overflow");
  expect_error([] { parse_json("[\"\xff\"]", "c"); }, "UTF-8");
  expect_error([] { parse_json("\"\\ud800\"", "c"); }, "c:1: not valid JSON");
  expect_error([] { parse_json("{\"a\": 1,}", "c"); }, "c:1: not valid JSON");
  expect_error([] { parse_json("// hello\n1", "c"); }, "c:1: not valid JSON");
}

TEST(Json, LimitsNesting) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(kMaxJsonDepth), "c"));
  expect_error([&] { parse_json(nested(kMaxJsonDepth + 1), "c"); }, "nested deeper than 128 levels");
  expect_error([&] { parse_json(std::string(1'000'000, '['), "c"); }, "nested deeper");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  expect_error([&] { parse_json(objects, "c"); }, "nested deeper");
}

TEST(Json, AnObjectOfManyKeysIsNotSlow) {  // a search through all earlier keys would take minutes
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"key" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  EXPECT_EQ(parse_json(text, "c").size(), 200'000u);
}

TEST(Json, DamagedTextIsAnErrorOrAValue) {
  const std::string valid =
      R"({"model": {"layers": [1, 2.5e3, -7], "name": "中文\n\u00e9"}, "ok": [true, false, null]})";
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    std::string text = valid;
    for (int flips = 0; flips < 3; ++flips) text[random() % text.size()] = static_cast<char>(random());
    if (round % 3 == 0) text.resize(random() % text.size());
    try {
      parse_json(text, "c");
    } catch (const InputError& error) {
      EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
    }
  }
}

TEST(Jsonl, StreamsValuesWithTheirLines) {
  const TemporaryFolder folder;
  const auto path =
      write_bytes(folder / "d.jsonl", "\xEF\xBB\xBF{\"a\": 1}\r\n\r\n  \n[2]\n\"last, no line end\"");
  JsonlReader reader(path);
  Json value;
  ASSERT_TRUE(reader.next(value));
  EXPECT_EQ(value["a"], 1);
  EXPECT_EQ(reader.line(), 1);
  ASSERT_TRUE(reader.next(value));
  EXPECT_EQ(value, Json::array({2}));
  EXPECT_EQ(reader.where(), path.string() + ":4");
  ASSERT_TRUE(reader.next(value));
  EXPECT_EQ(value, "last, no line end");
  EXPECT_EQ(reader.line(), 5);
  EXPECT_FALSE(reader.next(value));
  EXPECT_FALSE(reader.next(value));
}

TEST(Jsonl, NamesTheBadLineAndGoesOnBehindIt) {
  const TemporaryFolder folder;
  JsonlReader reader(write_bytes(folder / "d.jsonl", "1\n{\"a\" 2}\n3\n\"\xff\"\n{\"a\":1,\"a\":2}\n4 5\n6"));
  Json value;
  EXPECT_TRUE(reader.next(value));
  expect_error([&] { reader.next(value); }, "d.jsonl:2: not valid JSON");
  EXPECT_TRUE(reader.next(value));
  EXPECT_EQ(value, 3);
  expect_error([&] { reader.next(value); }, "d.jsonl:4: not valid JSON");
  expect_error([&] { reader.next(value); }, "d.jsonl:5: the key \"a\" appears twice");
  expect_error([&] { reader.next(value); }, "d.jsonl:6: not valid JSON");
  EXPECT_TRUE(reader.next(value));
  EXPECT_FALSE(reader.next(value));
}

TEST(Jsonl, EmptyFilesHaveNoValues) {
  const TemporaryFolder folder;
  Json value;
  for (const char* text : {"", "\n", " \r\n\n", "\xEF\xBB\xBF"}) {
    EXPECT_FALSE(JsonlReader(write_bytes(folder / "d.jsonl", text)).next(value));
  }
  expect_error([&] { JsonlReader(folder / "none"); }, "none: cannot open");
}

TEST(Jsonl, ReadsBeyondThePagesItGivesBack) {
  const TemporaryFolder folder;
  const std::string row = "{\"text\": \"" + std::string(1 << 20, 't') + "\"}\n";
  std::string text;
  for (int i = 0; i < 40; ++i) text += row;
  JsonlReader reader(write_bytes(folder / "d.jsonl", text));
  Json value;
  int rows = 0;
  for (; reader.next(value); ++rows)
    EXPECT_EQ(value["text"].get_ref<const std::string&>().size(), size_t{1} << 20);
  EXPECT_EQ(rows, 40);
}

}  // namespace
}  // namespace ft
