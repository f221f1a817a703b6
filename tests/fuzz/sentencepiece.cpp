// A SentencePiece model from a stranger, alone and in the folders of the classes that read it otherwise:
// opened, and used on all kinds of bytes.
#include <climits>
#include <cstring>

#include "engine/data/tokenizer.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {
namespace {

/// A field of a protocol buffer: `number` with bytes, or with a varint below 128.
std::string field(int number, const std::string& bytes) {
  std::string out = {static_cast<char>(number << 3 | 2)};
  for (size_t n = bytes.size();; n >>= 7) {
    out += static_cast<char>((n & 0x7F) | (n > 0x7F ? 0x80 : 0));
    if (n <= 0x7F) return out + bytes;
  }
}
std::string field(int number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}

std::string piece(const std::string& content, int eighth, int type = 1) {
  const float score = static_cast<float>(eighth) / 8;
  std::string bytes(sizeof score, '\0');
  std::memcpy(bytes.data(), &score, sizeof score);
  return field(1, field(1, content) + static_cast<char>(2 << 3 | 5) + bytes + field(3, type));
}

/// A model small enough that most mutations meet something that matters. `kind`: 1 unigram, 2 BPE.
std::string small(int kind) {
  std::string model = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("<sep>", 0, 4);
  int n = 0;
  for (const char* content : {"\u2581a", "\u2581", "a", "b", "ab", "abc", "c", "\u4f60", "\u2581\u2581", "1"})
    model += piece(content, -8 * ++n);
  const std::string trainer = field(3, kind);
  return model + field(2, trainer) + field(3, field(1, "identity") + field(3, 1) + field(4, kind == 1));
}

}  // namespace

std::vector<std::string> seeds() {
  return {small(1), small(2), repository_file("tests/text/data/spm-bpe/tokenizer.model"),
          repository_file("tests/text/data/spm-unigram/spiece.model"),
          repository_file("tests/text/data/chatglm/ice_text.model")};
}

std::vector<std::string> words() {
  return {piece("ab", -40),
          piece("\u2581", -48),
          piece("<0x42>", 0, 6),
          piece("<0x00>", 0, 6),
          piece("x", 0, 5),
          piece("<pad>", 0, 3),
          piece("[CLS]", 0, 3),
          piece(std::string(300, 'a'), -8),
          piece("<unk>", 0, 2),
          field(2, field(3, 3)),
          field(2, field(3, 4)),
          field(3, field(2, std::string(8, '\0'))),
          field(3, field(3, 0) + field(4, 0) + field(5, 0)),
          field(2, std::string("\xC0\x01\x01", 3)),
          std::string("\xFF\xFF\xFF\xFF\x0F", 5),
          std::string("\x00\x00\xC0\x7F", 4),
          "<s>",
          "\u2581\u2581\u2581",
          "<0x"};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  const std::filesystem::path file = fuzz::put("model/tokenizer.model", fuzz::text_of(data, size));
  return fuzz::take_or_refuse([&] {
    const auto use = [](const std::filesystem::path& path) {
      const auto tokenizer = Tokenizer::open(path);
      const std::string texts[] = {"abc ab 1234 <sep> <s>\t\n", "中文 é \xff\xfe\xc3 ab\0 b",
                                   std::string(600, 'a'), std::string(300, ' ') + "b"};
      for (const std::string& text : texts) {
        tokenizer->decode(tokenizer->encode(text, {.add_special = true}));
        tokenizer->decode(tokenizer->encode(text, {.parse_special = false}), false);
      }
      tokenizer->decode(std::vector<int32_t>{-1, 0, 1, INT32_MAX, tokenizer->vocab_size()});
    };
    use(file);
    for (const char* config : {R"({"tokenizer_class": "LlamaTokenizer", "legacy": false})",
                               R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 3})",
                               R"({"tokenizer_class": "ChatGLMTokenizer", "num_image_tokens": 7})"}) {
      fuzz::put("model/tokenizer_config.json", config);
      try {
        use(fuzz::scratch() / "model");
      } catch (const InputError&) {  // the class finds no place for its tokens
      }
    }
    std::filesystem::remove(fuzz::scratch() / "model/tokenizer_config.json");
    fuzz::expect_only_own_files();
  });
}
