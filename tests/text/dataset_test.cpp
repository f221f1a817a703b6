// Rows from files: every format and file type, exact ids and masks, and bad rows named by file and line.
#include "engine/data/dataset.h"

#include <numeric>

#include "engine/data/data_files.h"
#include "engine/data/dataset_text.h"
#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;
using Ids = std::vector<int32_t>;

struct Files : ScratchFolder {
  DatasetOptions options;
  Files() {
    options.tokenizer = Tokenizer::open(data_folder() / "qwen2");
    options.prompt_template = Template::make("chatml", options.tokenizer);
    options.vocab = options.tokenizer->vocab_size();
  }
  Dataset load(const std::string& name, DataFormat format, std::string_view text) {
    write(name, text);
    return load_dataset({.path = path() / name, .format = format}, options);
  }
  std::string decoded(std::span<const int32_t> ids) const {
    return options.tokenizer->decode(Ids(ids.begin(), ids.end()), false);
  }
  std::string learnt(const DataRow& row) const {
    Ids ids;
    for (const int32_t l : row.labels)
      if (l != kNoTarget) ids.push_back(l);
    return decoded(ids);
  }
};

Ids ids_of(const DataRow& row) {
  return {row.ids.begin(), row.ids.end()};
}

TEST(Dataset, EveryFileTypeGivesTheSameRows) {
  Files f;
  const auto format = DataFormat::prompt_completion;
  const Dataset want = f.load("a.jsonl", format,
                              "{\"prompt\": \"a, \\\"b\\\"\", \"completion\": \"x\\ny\"}\n\n"
                              "{\"prompt\": \"ü\", \"completion\": \"z\"}\n");
  ASSERT_EQ(want.rows.size(), 2u);
  EXPECT_EQ(want.rows[1].line, 3);
  EXPECT_EQ(f.learnt(want.rows[0]), "x\ny<|im_end|>");
  const Dataset array = f.load("a.json", format,
                               " [\n{\"prompt\": \"a, \\\"b\\\"\", \"completion\": \"x\\ny\"},\n"
                               "{\"prompt\": \"ü\", \"completion\": \"z\"} ]\n");
  const Dataset lines = f.load("b.json", format,
                               "{\"prompt\": \"a, \\\"b\\\"\", \"completion\": \"x\\ny\"}\n"
                               "{\"prompt\": \"ü\", \"completion\": \"z\"}");
  const Dataset csv = f.load(
      "a.csv", format, "\xEF\xBB\xBFid,prompt,completion\r\n1,\"a, \"\"b\"\"\",\"x\ny\"\r\n\r\n2,ü,z\r\n");
  for (const Dataset* other : {&array, &lines, &csv}) {
    ASSERT_EQ(other->rows.size(), 2u);
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(ids_of(other->rows[i]), ids_of(want.rows[i]));
  }
  EXPECT_EQ(csv.rows[1].line, 5);
  EXPECT_EQ(array.rows[1].line, 3);
  const Dataset tsv = f.load("a.tsv", format, "prompt\tcompletion\n\"q\t\"r\"\n");
  EXPECT_EQ(f.learnt(tsv.rows.at(0)), "\"r\"<|im_end|>");
}

TEST(Dataset, ColumnsRenameFields) {
  Files f;
  f.write("a.csv", "question,label\nwho,me\n");
  const Dataset d = load_dataset({.path = f.path() / "a.csv",
                                  .format = DataFormat::prompt_completion,
                                  .columns = {{"prompt", "question"}, {"completion", "label"}}},
                                 f.options);
  EXPECT_EQ(f.learnt(d.rows.at(0)), "me<|im_end|>");
}

constexpr const char* kChat =
    R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}, {"role": "user", "content": "e"}]})";

TEST(Dataset, ChatLearnsAllAnswersTheLastOrEverything) {
  Files f;
  EXPECT_EQ(f.learnt(f.load("a.jsonl", DataFormat::chat, kChat).rows.at(0)), "b<|im_end|>d<|im_end|>");
  f.options.train_on = TrainOn::last;
  EXPECT_EQ(f.learnt(f.load("a.jsonl", DataFormat::chat, kChat).rows.at(0)), "d<|im_end|>");
  f.options.train_on = TrainOn::all;
  const Dataset all = f.load("a.jsonl", DataFormat::chat, kChat);
  EXPECT_EQ(f.learnt(all.rows.at(0)), f.decoded(all.rows[0].ids));
  EXPECT_TRUE(
      f.decoded(all.rows[0].ids).ends_with("assistant\nd<|im_end|>\n"));  // what follows teaches nothing
}

TEST(Dataset, ShareGptIsTheSameConversation) {
  Files f;
  const Dataset want = f.load("a.jsonl", DataFormat::chat, kChat);
  const Dataset got = f.load(
      "b.jsonl", DataFormat::chat,
      R"({"system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}, {"from": "human", "value": "c"}, {"from": "gpt", "value": "d"}]})");
  EXPECT_EQ(ids_of(got.rows.at(0)), ids_of(want.rows.at(0)));
}

// must-not-happen 5: a row whose mask is all zero is an error that names it.
TEST(Dataset, MustNotHappen5ARowWithoutAnAnswerIsAnError) {
  Files f;
  const std::string good = std::string(kChat) + "\n";
  const std::string bad = R"({"messages": [{"role": "user", "content": "a"}]})";
  expect_bad_input([&] { f.load("a.jsonl", DataFormat::chat, good + bad); }, {"a.jsonl:2:", "nothing"});
  f.options.on_bad_row = OnBadRow::skip;
  const Dataset d = f.load("a.jsonl", DataFormat::chat, good + bad);
  EXPECT_EQ(d.rows.size(), 1u);
  EXPECT_EQ(d.report.skipped, 1);
  EXPECT_NE(d.report.first_skipped.find("a.jsonl:2:"), std::string::npos);
}

// must-not-happen 4: what truncation leaves without a target is counted and named, never a row.
TEST(Dataset, MustNotHappen4TruncationIsCountedAndNamed) {
  Files f;
  f.options.prompt_template = Template::make("none", f.options.tokenizer);
  const std::string rows =
      R"({"prompt": "a b c d e f g h i j k l m n o p q r s t u v w", "completion": "x"})"
      "\n"
      R"({"prompt": "a", "completion": "x y z x y z x y z x y z x y z x y z x y z x y z"})"
      "\n"
      R"({"prompt": "a", "completion": "x"})";
  const auto load = [&](Truncation t) {
    f.options.truncation = t;
    return f.load("a.jsonl", DataFormat::prompt_completion, rows);
  };
  f.options.max_length = 16;
  const Dataset start = load(Truncation::keep_start);
  EXPECT_EQ(start.report.cut, 2);
  EXPECT_EQ(start.report.without_target, 1);
  EXPECT_EQ(start.report.without_target_lines, std::vector<int64_t>{1});
  EXPECT_EQ(start.rows.size(), 2u);
  const Dataset end = load(Truncation::keep_end);
  EXPECT_EQ(end.rows.size(), 3u);
  EXPECT_EQ(f.learnt(end.rows[0]), "x<|im_end|>");
  EXPECT_EQ(end.report.longest, 16);
  EXPECT_EQ(load(Truncation::drop).report.dropped, 2);
  expect_bad_input([&] { load(Truncation::error); }, {"a.jsonl:1:", "max_length"});
}

TEST(Dataset, RowsOfARewrittenPastAreCounted) {
  Files f;
  const ScratchFolder model;
  model.write("tokenizer.json", read_text_file(data_folder() / "qwen2" / "tokenizer.json"));
  model.write("tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  model.write("chat_template.jinja",
              "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
              "{% if m.role == 'assistant' and loop.last %}{{ '<think></think>' }}{% endif %}"
              "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
              "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
  f.options.tokenizer = Tokenizer::open(model.path());
  f.options.prompt_template = Template::make("tokenizer", f.options.tokenizer);
  const Dataset d = f.load("a.jsonl", DataFormat::chat, kChat);
  EXPECT_EQ(d.rows.size(), 2u);
  EXPECT_EQ(d.report.split, 1);
  f.options.train_on = TrainOn::last;
  EXPECT_EQ(f.learnt(f.load("a.jsonl", DataFormat::chat, kChat).rows.at(0)), "<think></think>d<|im_end|>");
}

TEST(Dataset, TextIsBlocksInWhichEveryTokenIsATargetOnce) {
  Files f;
  f.options.block_size = 7;
  std::string text;
  for (int i = 0; i < 40; ++i) text += "line " + std::to_string(i) + "\n\nwords; ";
  Ids want = f.options.tokenizer->encode(text);
  want.push_back(*f.options.tokenizer->eos_id());
  for (const char* name : {"a.txt", "a.jsonl"}) {
    const bool plain = is_plain_text(name);
    const Dataset d = f.load(name, DataFormat::text, plain ? text : Json{{"text", text}}.dump());
    EXPECT_TRUE(d.corpus);
    Ids got = {d.rows.at(0).ids[0]};
    for (const DataRow& row : d.rows) {
      EXPECT_EQ(row.ids[0], got.back());
      EXPECT_LE(row.ids.size(), 7u);
      EXPECT_EQ(ids_of(row), Ids(row.labels.begin(), row.labels.end()));
      got.insert(got.end(), row.ids.begin() + 1, row.ids.end());
    }
    EXPECT_EQ(got, want);
    EXPECT_EQ(d.report.targets, static_cast<int64_t>(want.size()) - 1);
  }
}

// must-not-happen 24: documents never share a row.
TEST(Dataset, MustNotHappen24ARowHoldsOneDocument) {
  Files f;
  const Dataset d = f.load("a.jsonl", DataFormat::text, "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
  ASSERT_EQ(d.rows.size(), 2u);
  EXPECT_EQ(f.decoded(d.rows[0].ids), "one<|im_end|>");
  EXPECT_EQ(f.decoded(d.rows[1].ids), "two<|im_end|>");
}

TEST(Dataset, ALongTextFileIsReadInParts) {
  Files f;
  f.options.block_size = 512;
  std::string text;
  for (int i = 0; text.size() < (size_t{2} << 20) + 1000; ++i)
    text += "The lamp " + std::to_string(i * 7919) + " is there.\n\n  Again\n";
  const Dataset d = f.load("a.txt", DataFormat::text, text);
  std::string read = f.decoded(d.rows[0].ids.span().first(1));
  std::string all;
  for (const DataRow& row : d.rows) all += f.decoded(row.ids.span().subspan(1));
  EXPECT_EQ(read + all, text + "<|im_end|>");
  EXPECT_GT(d.rows.back().line, d.rows.front().line);
}

TEST(Dataset, ClassificationIsRefusedClearly) {
  Files f;
  expect_bad_input([&] { f.load("a.jsonl", DataFormat::classification, "{\"text\": \"a\", \"label\": 1}"); },
                   {"SEQ_CLS", "prompt_completion"});
}

struct Bad {
  const char *name, *text, *says;
};
TEST(Dataset, BadRowsAreNamedByFileAndLine) {
  Files f;
  const Bad cases[] = {
      {"a.jsonl", "\n{\"prompt\": 1, \"completion\": \"x\"}", "a.jsonl:2: \"prompt\""},
      {"a.jsonl", "{\"prompt\": \"a\", \"completion\": \"x\"}\n[]", "a.jsonl:2: expected a JSON object"},
      {"a.jsonl", "{\"completion\": \"x\"}", "a.jsonl:1: the row has no \"prompt\""},
      {"a.json", "[{\"prompt\": \"a\", \"completion\": \"x\"},\n\n{\"prompt\": }]", "a.json:3:"},
      {"a.json", "[{\"prompt\": \"a\", \"completion\": \"x\"}\n", "a.json:2: the array of rows is broken"},
      {"a.json", "[{\"prompt\": \"a\", \"completion\": \"x\"}] 5", "a.json:1: something stands behind"},
      {"a.json", "[]", "no row to learn from"},
      {"a.csv", "prompt,completion\na,b\nc\n", "a.csv:3: 1 fields"},
      {"a.csv", "prompt,completion\n\"a,b\n", "a.csv:2: a quote"},
      {"a.csv", "prompt,prompt\n", "two columns"},
      {"a.csv", "", "the file is empty"},
      {"a.csv", "prompt,completion\n\xff,b\n", "a.csv:2: not UTF-8"},
      {"a.tsv", "prompt\tcompletion\na\tb\tc\n", "a.tsv:2: 3 fields"},
  };
  for (const Bad& c : cases)
    expect_bad_input([&] { f.load(c.name, DataFormat::prompt_completion, c.text); }, {c.says});
  const char* chats[] = {"{}",
                         R"({"messages": 1})",
                         R"({"messages": [1]})",
                         R"({"messages": [{"role": "user"}]})",
                         R"({"messages": [{"role": "user", "content": [1]}]})",
                         R"({"conversations": [{"from": "gpt", "value": "x"}]})"};
  for (const char* c : chats)
    expect_bad_input([&] { f.load("a.jsonl", DataFormat::chat, c); }, {"a.jsonl:1:"});
  expect_bad_input([&] { f.load("a.txt", DataFormat::text, "ok\nno\xff"); }, {"a.txt:2: not UTF-8"});
}

TEST(Dataset, SkippingBadRowsEnds) {
  Files f;
  f.options.on_bad_row = OnBadRow::skip;
  const std::string good = "{\"prompt\": \"a\", \"completion\": \"x\"}";
  for (const auto& [name, text] :
       std::vector<std::pair<std::string, std::string>>{{"a.jsonl", good + "\n{\n" + good},
                                                        {"a.json", "[" + good + ", {\"a\" 1}, " + good},
                                                        {"a.json", "[" + good + ",, }"},
                                                        {"a.csv", "prompt,completion\na,b\nc\n\"d"}})
    EXPECT_GE(f.load(name, DataFormat::prompt_completion, text).rows.size(), 1u) << text;
}

TEST(Dataset, ATemplateIsDrawnForEachRowBySeed) {
  Files f;
  f.options.prompt_template = Template::mixture(
      {Template::make("chatml", f.options.tokenizer), Template::make("none", f.options.tokenizer)});
  std::string rows;
  for (int i = 0; i < 60; ++i) rows += "{\"prompt\": \"a\", \"completion\": \"x\"}\n";
  const auto shape = [&](uint64_t seed) {
    f.options.seed = seed;
    std::vector<size_t> lengths;
    for (const DataRow& row : f.load("a.jsonl", DataFormat::prompt_completion, rows).rows)
      lengths.push_back(row.ids.size());
    return lengths;
  };
  EXPECT_EQ(shape(1), shape(1));
  EXPECT_NE(shape(1), shape(2));
  const auto one = shape(1);
  EXPECT_GT(std::count(one.begin(), one.end(), one[0]), 10);
  EXPECT_LT(std::count(one.begin(), one.end(), one[0]), 50);
}

TEST(Dataset, WeightsRepeatRows) {
  Files f;
  std::string rows;
  for (int i = 0; i < 8; ++i) rows += "{\"prompt\": \"" + std::to_string(i) + "\", \"completion\": \"x\"}\n";
  const Dataset base = f.load("a.jsonl", DataFormat::prompt_completion, rows);
  Dataset more = base, fewer = base;
  apply_weight(more, 2.5, 1);
  apply_weight(fewer, 0.5, 1);
  EXPECT_EQ(more.rows.size(), 20u);
  EXPECT_EQ(more.report.rows, 20);
  EXPECT_EQ(fewer.rows.size(), 4u);
  const Dataset both = join({more, fewer});
  EXPECT_EQ(both.rows.size(), 24u);
  EXPECT_EQ(both.report.tokens, more.report.tokens + fewer.report.tokens);
}

TEST(Dataset, TheCacheGivesTheSameRowsAndKnowsWhatTheyDependOn) {
  Files f;
  std::string rows;
  for (int i = 0; i < 50; ++i)
    rows += "{\"prompt\": \"" + std::string(static_cast<size_t>(i % 9), 'a') + "\", \"completion\": \"x\"}\n";
  rows += "{}\n";
  f.options.on_bad_row = OnBadRow::skip;
  const auto load = [&] { return f.load("a.jsonl", DataFormat::prompt_completion, rows); };
  const auto caches = [&] {
    std::vector<std::filesystem::path> found;
    for (const auto& e : std::filesystem::directory_iterator(f.path() / "cache")) found.push_back(e.path());
    return found;
  };
  const Dataset want = load();
  f.options.cache_dir = f.path() / "cache";
  for (int time = 0; time < 2; ++time) {
    const Dataset got = load();
    ASSERT_EQ(got.rows.size(), want.rows.size());
    for (size_t i = 0; i < got.rows.size(); ++i) {
      EXPECT_EQ(ids_of(got.rows[i]), ids_of(want.rows[i]));
      EXPECT_TRUE(
          std::equal(got.rows[i].labels.begin(), got.rows[i].labels.end(), want.rows[i].labels.begin()));
      EXPECT_EQ(got.rows[i].line, want.rows[i].line);
    }
    EXPECT_EQ(got.report.skipped, 1);
    EXPECT_EQ(got.report.first_skipped, want.report.first_skipped);
    EXPECT_EQ(caches().size(), 1u);
  }
  const auto time = std::filesystem::last_write_time(caches()[0]);
  load();
  EXPECT_EQ(std::filesystem::last_write_time(caches()[0]), time);  // looked at, not written
  // Damage anywhere is found or harmless, and the file made anew.
  const std::string whole = read_text_file(caches()[0]);
  TestRandom random(3);
  for (int i = 0; i < 60; ++i) {
    std::string bad = whole;
    if (i % 2)
      bad.resize(random.below(bad.size()));
    else
      bad[bad.size() - 1 - random.below(i < 30 ? 1300 : bad.size() - 1)] ^=
          static_cast<char>(1 + random.below(255));
    f.write("cache/" + caches()[0].filename().string(), bad);
    const Dataset got = load();
    ASSERT_EQ(got.rows.size(), want.rows.size());
    for (size_t k = 0; k < got.rows.size(); ++k) ASSERT_EQ(ids_of(got.rows[k]), ids_of(want.rows[k]));
  }
  f.options.max_length = 1000;
  load();
  EXPECT_EQ(caches().size(), 2u);
  f.options.prompt_template = Template::make("alpaca", f.options.tokenizer);
  f.options.max_length = 0;
  load();
  EXPECT_EQ(caches().size(), 3u);
  f.options.cache_from_bytes = 1 << 20;  // smaller files stay in memory
  rows += " ";
  load();
  EXPECT_EQ(caches().size(), 3u);
}

}  // namespace
}  // namespace ft
