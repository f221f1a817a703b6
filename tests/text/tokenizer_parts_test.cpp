// Normalisers and decoders against Hugging Face's, one by one (tools/fixtures/make_tokenizers.py).
#include "engine/data/tokenizer_decoder.h"
#include "engine/data/tokenizer_normalizer.h"
#include "engine/data/tokenizer_utf8.h"
#include "tests/text/text_test.h"

namespace ft {
namespace {

using namespace ft::testing;

TEST(Normalizer, MakesWhatHuggingFaceDoes) {
  const Json rows = read_json_file(data_folder() / "normalizers.json");
  ASSERT_GE(rows.size(), 15u);
  for (const Json& row : rows) {
    const Normalizer normalizer = Normalizer::from_json(row.at("node"), "test");
    for (const Json& c : row.at("cases")) {
      std::string buffer;
      const auto text = c.at("text").get<std::string>();
      EXPECT_EQ(normalizer.apply(text, buffer), c.at("out").get<std::string>())
          << row.at("node").at("type") << " on " << c.at("text");
    }
  }
}

TEST(Decoder, MakesWhatHuggingFaceDoes) {
  const Json rows = read_json_file(data_folder() / "decoders.json");
  ASSERT_GE(rows.size(), 10u);
  for (const Json& row : rows) {
    const TokenDecoder decoder = TokenDecoder::from_json(row.at("node"), false, "test");
    for (const Json& c : row.at("cases")) {
      DecodeState state;
      std::string out;
      for (const Json& token : c.at("tokens")) decoder.push(token.get<std::string>(), false, state, out);
      EXPECT_EQ(to_valid_utf8(out), c.at("out").get<std::string>())
          << row.at("node") << " on " << c.at("tokens");
    }
  }
}

}  // namespace
}  // namespace ft
