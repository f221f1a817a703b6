// GGUF files: metadata, tensors, the tokenizer and the model's configuration in them.
#include "engine/io/gguf.h"
#include "engine/data/open_tokenizer.h"
#include "engine/data/tokenizer.h"
#include "models/family.h"
#include "tests/fuzz/fuzz.h"
#include "tests/io/gguf_builder.h"

namespace ft::fuzz {
namespace {

using ft::testing::array_value;
using ft::testing::as_bytes;
using ft::testing::text_bytes;
using ft::testing::u32_value;

std::string text_value(std::string_view text) {
  return as_bytes(uint32_t{8}) + text_bytes(text);
}
std::string float_value(float value) {
  return as_bytes(uint32_t{6}) + as_bytes(value);
}

std::string model() {
  ft::testing::TestGguf g;
  std::string tokens, merges = text_bytes("a b") + text_bytes("b c");
  for (const char* t : {"a", "b", "c", "ab", "bc", "<|end|>"}) tokens += text_bytes(t);
  g.pairs = {{"general.architecture", text_value("llama")},
             {"llama.block_count", u32_value(1)},
             {"llama.context_length", u32_value(16)},
             {"llama.embedding_length", u32_value(8)},
             {"llama.feed_forward_length", u32_value(16)},
             {"llama.attention.head_count", u32_value(2)},
             {"llama.attention.head_count_kv", u32_value(1)},
             {"llama.attention.layer_norm_rms_epsilon", float_value(1e-5f)},
             {"llama.rope.freq_base", float_value(10000)},
             {"llama.vocab_size", u32_value(6)},
             {"tokenizer.ggml.model", text_value("gpt2")},
             {"tokenizer.ggml.pre", text_value("gpt-2")},
             {"tokenizer.ggml.tokens", array_value(8, 6, tokens)},
             {"tokenizer.ggml.merges", array_value(8, 2, merges)},
             {"tokenizer.ggml.eos_token_id", u32_value(5)}};
  return g.bytes();
}

std::string quantised(uint32_t type, uint64_t block, size_t bytes) {
  ft::testing::TestGguf g;
  g.pairs = {{"general.alignment", u32_value(32)}, {"numbers", array_value(5, 2, std::string(8, '\1'))}};
  g.tensors = {{"blk.0.attn_q.weight", {block, 2}, type, 0}};
  g.data_bytes = 2 * bytes;
  return g.bytes();
}

}  // namespace

std::vector<std::string> seeds() {
  return {model(),
          ft::testing::TestGguf{}.bytes(),
          quantised(2, 32, 18),
          quantised(8, 32, 34),
          quantised(12, 256, 144),
          quantised(14, 256, 210),
          quantised(30, 4, 8)};
}

std::vector<std::string> words() {
  return {"GGUF",
          "general.architecture",
          "general.alignment",
          "llama",
          "gpt2",
          "qwen3",
          "llama.block_count",
          "tokenizer.ggml.tokens",
          "tokenizer.ggml.merges",
          "tokenizer.ggml.token_type",
          "rope_freqs.weight",
          "tokenizer.chat_template",
          std::string("\x09\0\0\0\x09\0\0\0", 8)};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  const std::filesystem::path path = fuzz::put("model.gguf", fuzz::text_of(data, size));
  const int taken = fuzz::take_or_refuse([&] { ft::testing::read_everything(path); });
  // Whatever of it is whole is used on its own.
  const int64_t before = fuzz::accepted;
  fuzz::take_or_refuse([&] {
    const GgufFile file(path);
    if (const auto architecture = file.metadata().keys(); architecture.empty()) return;
    const Family& family = find_gguf_family("llama", "model.gguf");
    check_decoder(family.from_gguf(file), "model.gguf");
  });
  fuzz::take_or_refuse([&] {
    const auto tokenizer = open_tokenizer(path);
    const std::vector<int32_t> ids = tokenizer->encode("abc <|end|>\xff c");
    tokenizer->decode(ids);
  });
  fuzz::accepted = before;
  return taken;
}
