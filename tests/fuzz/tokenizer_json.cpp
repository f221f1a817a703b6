// tokenizer.json: opened, used on all kinds of bytes, written, and read back.
#include <filesystem>

#include "engine/data/tokenizer.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {

std::vector<std::string> seeds() {
  const std::string byte_level =
      R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":9,"content":"<|end|>","single_word":false,)"
      R"("lstrip":false,"rstrip":false,"normalized":false,"special":true}],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel",)"
      R"("add_prefix_space":false,"trim_offsets":true,"use_regex":true},"post_processor":{"type":"ByteLevel","trim_offsets":true},)"
      R"("decoder":{"type":"ByteLevel"},"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"",)"
      R"("end_of_word_suffix":"","fuse_unk":false,"byte_fallback":false,"ignore_merges":false,"vocab":{"a":0,"b":1,"c":2,"ab":3,)"
      R"("abc":4,"Ġ":5,"Ġa":6,"1":7,"é":8},"merges":["a b","ab c","Ġ a"]}})";
  const std::string sequence =
      R"({"added_tokens":[],"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split",)"
      R"("pattern":{"Regex":"(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+"},"behavior":"Isolated","invert":false},)"
      R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]},"decoder":{"type":"ByteLevel"},)"
      R"("model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}})";
  return {byte_level, sequence};
}

std::vector<std::string> words() {
  return {"\"type\"",
          "\"BPE\"",
          "\"Unigram\"",
          "\"WordPiece\"",
          "\"WordLevel\"",
          "\"Sequence\"",
          "\"Split\"",
          "\"Metaspace\"",
          "\"Digits\"",
          "\"Prepend\"",
          "\"Replace\"",
          "\"Strip\"",
          "\"ByteFallback\"",
          "\"Fuse\"",
          "\"NFKC\"",
          "\"Precompiled\"",
          "\"TemplateProcessing\"",
          "\"Lowercase\"",
          "\"Regex\"",
          "\"merges\"",
          "\"vocab\"",
          "\"added_tokens\"",
          "\"special\":true",
          "\"byte_fallback\":true",
          "\"ignore_merges\":true",
          "\"unk_token\":\"a\"",
          "(?=a)",
          "(a+)+",
          "[[",
          "\\\\p{L}",
          "{1,65535}",
          "null",
          "true",
          "[]",
          "{}",
          "\\u0000",
          "\\ud800",
          "Ġ",
          "\"id\":2147483647",
          "\"<0xFF>\""};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  const std::filesystem::path path = fuzz::put("in/tokenizer.json", fuzz::text_of(data, size));
  return fuzz::take_or_refuse([&] {
    const auto tokenizer = Tokenizer::open(path.parent_path());
    const std::string texts[] = {"abc ab 1234 <|end|> a's \t\n", "中文 é \xff\xfe\xc3 ab",
                                 std::string(300, 'a')};
    for (const std::string& text : texts) {
      tokenizer->decode(tokenizer->encode(text, {.add_special = true}));
      tokenizer->decode(tokenizer->encode(text, {.parse_special = false}), false);
    }
    tokenizer->decode(std::vector<int32_t>{-1, 0, 1, INT32_MAX, tokenizer->vocab_size()});
    fuzz::put("out/marker", "");
    tokenizer->write_tokenizer_json(fuzz::scratch() / "out");
    fuzz::expect_only_own_files();
    const auto again = Tokenizer::open(fuzz::scratch() / "out");
    for (const std::string& text : texts)
      if (again->encode(text) != tokenizer->encode(text))
        throw std::logic_error("written, it gives other ids");
  });
}
