// Rows of training data, in every format: the first byte chooses it. Row by row: what one call refuses, the
// reader goes on behind (on_bad_row: skip).
#include "engine/data/dataset.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {
namespace {

struct Text {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const Template> layout;
};

const Text& text() {
  static const Text both = [] {
    put("tokenizer/tokenizer.json", repository_file("tests/text/data/gpt2/tokenizer.json"));
    Text t;
    t.tokenizer = Tokenizer::open(scratch() / "tokenizer");
    t.layout = Template::make("alpaca", t.tokenizer);
    return t;
  }();
  return both;
}

constexpr DataFormat kFormats[] = {DataFormat::alpaca, DataFormat::prompt_completion, DataFormat::tokenized};

}  // namespace

std::vector<std::string> seeds() {
  return {R"(a{"instruction": "How?", "input": "", "output": "So."}
{"instruction": "中文", "output": "é"}
)",
          "b"
          R"({"prompt": "x", "completion": "y z"}
)",
          "c"
          R"({"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}
{"input_ids": [4, 5]}
)",
          "c\xef\xbb\xbf"
          R"({"input_ids": [7, 8, 9]})"
          "\r\n"};
}

std::vector<std::string> words() {
  return {"\"instruction\"",
          "\"input\"",
          "\"output\"",
          "\"prompt\"",
          "\"completion\"",
          "\"input_ids\"",
          "\"labels\"",
          "\"system\"",
          "\n",
          "\r\n",
          "{",
          "}",
          "[",
          "]",
          "[[[[",
          "-100",
          "-101",
          "50256",
          "2147483648",
          "1.5",
          "\\ud83d",
          "\\u0000",
          "\xff",
          "null",
          "<|endoftext|>",
          "{instruction}"};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  if (size == 0) return 0;
  DataSet set;
  set.format = fuzz::kFormats[(data[0] + 2u) % std::size(fuzz::kFormats)];  // 'a' is the first
  set.path = fuzz::put("rows.jsonl", fuzz::text_of(data + 1, size - 1));
  DatasetOptions options{.tokenizer = fuzz::text().tokenizer,
                         .prompt_template = fuzz::text().layout,
                         .max_length = 512,
                         .vocab = fuzz::text().tokenizer->vocab_size()};
  const auto load = [&] {
    const Dataset d = load_dataset(set, options);
    for (const DataRow& row : d.rows)
      if (row.ids.size() != row.labels.size() || row.ids.size() > 512 || row.targets() == 0)
        throw std::logic_error("a row that can teach nothing");
  };
  const int taken = fuzz::take_or_refuse(load);
  const int64_t before = fuzz::accepted;
  options.on_bad_row = OnBadRow::skip;
  options.train_on = TrainOn::all;
  fuzz::take_or_refuse(load);
  fuzz::accepted = before;
  return taken;
}
