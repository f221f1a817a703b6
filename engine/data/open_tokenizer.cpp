#include "engine/data/open_tokenizer.h"

#include "engine/core/check.h"
#include "engine/io/gguf.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

GgufTokenizerData read_gguf(const fs::path& path) {
  const GgufFile file(path);
  const GgufMetadata& m = file.metadata();
  if (!m.has("tokenizer.ggml.model"))
    bad_input("{}: the file has no tokenizer (tokenizer.ggml.model)", path.string());
  const auto ids = [&](const char* key) {
    std::vector<int32_t> values;
    if (!m.has(key)) return values;
    for (const int64_t v : m.get_ints(key)) {
      if (v < INT32_MIN || v > INT32_MAX)
        bad_input("{}: metadata '{}' has the value {}", path.string(), key, v);
      values.push_back(static_cast<int32_t>(v));
    }
    return values;
  };
  const auto id = [&](const char* key) -> std::optional<int32_t> {
    if (!m.has(key)) return std::nullopt;
    const uint32_t value = m.get_u32(key);
    if (value > INT32_MAX) return std::nullopt;  // converters write −1 for none
    return static_cast<int32_t>(value);
  };
  GgufTokenizerData data;
  data.source = path.string();
  data.model = m.get_string("tokenizer.ggml.model");
  data.pre = m.get_string("tokenizer.ggml.pre", "");
  data.tokens = m.get_strings("tokenizer.ggml.tokens");
  data.token_type = ids("tokenizer.ggml.token_type");
  if (m.has("tokenizer.ggml.merges")) data.merges = m.get_strings("tokenizer.ggml.merges");
  if (m.has("tokenizer.ggml.scores")) data.scores = m.get_floats("tokenizer.ggml.scores");
  const auto flag = [&](const char* key) -> std::optional<bool> {
    return m.has(key) ? std::optional<bool>(m.get_bool(key)) : std::nullopt;
  };
  data.bos_id = id("tokenizer.ggml.bos_token_id");
  data.eos_id = id("tokenizer.ggml.eos_token_id");
  data.unk_id = id("tokenizer.ggml.unknown_token_id");
  data.pad_id = id("tokenizer.ggml.padding_token_id");
  data.cls_id = id("tokenizer.ggml.cls_token_id");
  data.sep_id = id("tokenizer.ggml.seperator_token_id");  // as the format spells it
  data.add_bos = flag("tokenizer.ggml.add_bos_token");
  data.add_eos = flag("tokenizer.ggml.add_eos_token");
  data.add_space_prefix = flag("tokenizer.ggml.add_space_prefix");
  data.chat_template = m.get_string("tokenizer.chat_template", "");
  return data;
}

}  // namespace

bool has_tokenizer(const fs::path& model) {
  std::error_code ignored;
  if (!fs::is_directory(model, ignored)) return fs::exists(model, ignored);
  return !find_tokenizer_file(model).empty();
}

std::shared_ptr<const Tokenizer> open_tokenizer(const fs::path& model) {
  return model.extension() == ".gguf" ? Tokenizer::from_gguf(read_gguf(model)) : Tokenizer::open(model);
}

}  // namespace ft
